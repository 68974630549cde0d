from __future__ import annotations

import asyncio
from contextlib import aclosing
from types import SimpleNamespace

from sgcx.engines.sglang_outputs import outputs

REQUEST = SimpleNamespace(rid="resp_1", contains_mm_input=lambda: False)


class Manager:
    """SGLang's tokenizer manager, as it keeps and hands out the outputs of one request."""

    def __init__(self):
        self.state = SimpleNamespace(out_list=[], finished=False, event=asyncio.Event())
        self.rid_to_state = {"resp_1": self.state}
        self.handed_out = []
        self.closed = False

    def write(self, text, *, finished=False):
        self.state.out_list.append({"text": text, "meta_info": {}})
        self.state.finished = finished
        if finished:
            del self.rid_to_state["resp_1"]
        self.state.event.set()

    async def generate_request(self, _generation, _request):
        try:
            while True:
                await self.state.event.wait()
                taken, self.state.out_list = self.state.out_list, []
                finished = self.state.finished
                self.state.event.clear()
                taken[-1]["text"] = taken[-1]["text"] or "put together"
                self.handed_out.append(taken[-1]["text"])
                yield taken[-1]
                if finished:
                    return
        finally:
            self.closed = True


async def read(manager, writes):
    """The texts that come where each of `writes` is made while the reader is busy with the output before."""
    found = []
    waiting = iter(writes)
    next(waiting)(manager)
    async with aclosing(outputs(manager, REQUEST, "resp_1")) as answer:
        async for output in answer:
            found.append(output["text"])
            next(waiting, lambda _: None)(manager)
    return found


def write_all(*texts, finished=False):
    def write(manager):
        for text in texts:
            manager.write(text, finished=finished and text is texts[-1])

    return write


def test_only_the_first_and_the_last_output_are_handed_out_by_sglang():
    async def scenario():
        manager = Manager()
        found = await read(
            manager, [write_all("a"), write_all("ab"), write_all("abc"), write_all("abcd", finished=True)]
        )
        assert found == ["a", "ab", "abc", "abcd"]
        assert manager.handed_out == ["a", "abcd"]

    asyncio.run(scenario())


def test_outputs_that_come_while_the_reader_is_busy_are_one():
    async def scenario():
        writes = [write_all("a"), write_all("ab", "abc"), write_all("abcd", "abcde", finished=True)]
        assert await read(Manager(), writes) == ["a", "abc", "abcde"]

    asyncio.run(scenario())


def test_an_output_without_its_text_is_left_to_sglang():
    async def scenario():
        manager = Manager()
        writes = [write_all("a"), write_all(None), write_all("abc", finished=True)]
        assert await read(manager, writes) == ["a", "put together", "abc"]

    asyncio.run(scenario())


def test_a_reader_that_leaves_ends_the_request():
    async def scenario():
        manager = Manager()
        manager.write("a")
        async with aclosing(outputs(manager, REQUEST, "resp_1")) as answer:
            await anext(answer)
            waiting = asyncio.ensure_future(anext(answer))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert manager.closed

    asyncio.run(scenario())
