"""Many clients at once, most of them well behaved: what they ask for, and what they must get."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

import httpx

MODEL = "rehearsal"
_STUCK_S = 240
_TOO_LONG = "word " * 140_000
_TOOL = {"name": "shell", "description": "Runs a command.", "parameters": {"type": "object"}}


class WrongAnswer(Exception):
    pass


class QueueFull(Exception):
    """A right answer under load: the client comes again."""


@dataclass
class Tally:
    """Counts by endpoint and kind; `problems` are the first few of each sort, in words."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    stuck: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def failed(self, counter: Counter[str], kind: str, problem: object) -> None:
        counter[kind] += 1
        if counter[kind] <= 3:
            self.problems.append(f"{kind}: {problem!r}"[:400])


async def run(
    client: httpx.AsyncClient, *, streams: int, seconds: float, endpoints: tuple[str, ...], seed: int
) -> Tally:
    """Keeps `streams` requests under way for so long, then lets the last ones end."""
    tally = Tally()
    until = monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(streams):
            group.create_task(_client(client, tally, until, endpoints, random.Random(f"{seed} {number}")))
    return tally


async def _client(
    client: httpx.AsyncClient, tally: Tally, until: float, endpoints: tuple[str, ...], chance: random.Random
) -> None:
    while monotonic() < until:
        endpoint = chance.choice(endpoints)
        kinds = _KINDS[endpoint]
        [name] = chance.choices(list(kinds), weights=[weight for _, weight in kinds.values()])
        kind = f"{endpoint} {name}"
        try:
            await asyncio.wait_for(kinds[name][0](client, chance), _STUCK_S)
            tally.done[kind] += 1
        except QueueFull:
            tally.refused[kind] += 1
            await asyncio.sleep(1 + chance.random())
        except TimeoutError as error:
            tally.failed(tally.stuck, kind, error)
        except (WrongAnswer, httpx.HTTPError, LookupError, ValueError) as error:
            tally.failed(tally.wrong, kind, error)


def _require(found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongAnswer(f"{str(found)[:150]!r} instead of {str(wanted)[:150]!r}")


def _require_not_full(response: httpx.Response) -> None:
    if response.status_code == 503:
        raise QueueFull


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, object] | None = None) -> httpx.Response:
    response = await client.post(path, json=body)
    _require_not_full(response)
    return response


def _words(chance: random.Random) -> tuple[str, str]:
    number = chance.randint(1, 40)
    return f"write {number} words", ("word " * number).strip()


def _call(chance: random.Random) -> tuple[str, dict[str, object]]:
    arguments = {"cmd": f"echo {chance.random()}", "quote": '"', "n": chance.randint(0, 9)}
    return f"call the tool shell with {json.dumps(arguments)}", arguments


async def _stream(client: httpx.AsyncClient, path: str, body: dict[str, object], leave_after: int | None = None):
    """The events of a stream that ends properly; with `leave_after`, the client goes before that."""
    events = []
    async with client.stream("POST", path, json={**body, "stream": True}) as response:
        _require_not_full(response)
        _require(response.status_code, 200)
        last = ""
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                last = line.removeprefix("data: ")
                if last != "[DONE]":
                    events.append(json.loads(last))
            if leave_after is not None and len(events) >= leave_after:
                return events
    if leave_after is None:
        _require(last, "[DONE]")
    if events[-1].get("type") == "response.failed" and "queue is full" in events[-1]["response"]["error"]["message"]:
        raise QueueFull  # its refusal came after the stream had begun
    return events


def _message(text: str) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


async def _chat_answer(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _words(chance)
    events = await _stream(client, "/chat/completions", _message(text))
    deltas = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    _require("".join(deltas).strip(), wanted)


async def _chat_whole(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _words(chance)
    answer = (await _post(client, "/chat/completions", _message(text))).json()
    _require(answer["choices"][0]["message"]["content"].strip(), wanted)


async def _chat_call(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _call(chance)
    body = {**_message(text), "tools": [{"type": "function", "function": _TOOL}]}
    events = await _stream(client, "/chat/completions", body)
    calls = [
        call for event in events for choice in event["choices"] for call in choice["delta"].get("tool_calls") or ()
    ]
    _require(json.loads("".join(call["function"]["arguments"] or "" for call in calls)), wanted)


async def _chat_leaves(client: httpx.AsyncClient, chance: random.Random) -> None:
    await _stream(client, "/chat/completions", _message("write 3000 words"), chance.randint(0, 20))


async def _chat_too_long(client: httpx.AsyncClient, chance: random.Random) -> None:
    body = {**_message(_TOO_LONG), "stream": chance.random() < 0.5}
    _require((await _post(client, "/chat/completions", body)).status_code, 400)


def _text(response: dict[str, object]) -> str:
    output = response["output"]
    assert isinstance(output, list)
    return "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"]).strip()


async def _response_answer(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _words(chance)
    events = await _stream(client, "/responses", {"model": MODEL, "input": text})
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    _require("".join(deltas).strip(), wanted)
    _require((events[-1]["type"], _text(events[-1]["response"])), ("response.completed", wanted))


async def _response_whole(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _words(chance)
    _require(_text((await _post(client, "/responses", {"model": MODEL, "input": text})).json()), wanted)


async def _response_call(client: httpx.AsyncClient, chance: random.Random) -> None:
    text, wanted = _call(chance)
    events = await _stream(
        client, "/responses", {"model": MODEL, "input": text, "tools": [{"type": "function", **_TOOL}]}
    )
    [call] = [item for item in events[-1]["response"]["output"] if item["type"] == "function_call"]
    _require(json.loads(call["arguments"]), wanted)


async def _response_leaves(client: httpx.AsyncClient, chance: random.Random) -> None:
    await _stream(client, "/responses", {"model": MODEL, "input": "write 3000 words"}, chance.randint(0, 20))


async def _response_cancelled(client: httpx.AsyncClient, chance: random.Random) -> None:
    body = {"model": MODEL, "input": "write 3000 words", "background": True, "store": True}
    made = (await _post(client, "/responses", body)).json()
    await asyncio.sleep(chance.random())
    cancelled = (await client.post(f"/responses/{made['id']}/cancel")).json()
    if cancelled["status"] == "failed":
        raise QueueFull
    _require(cancelled["status"], "cancelled")
    _require((await client.delete(f"/responses/{made['id']}")).status_code, 200)


async def _response_too_long(client: httpx.AsyncClient, chance: random.Random) -> None:
    body = {"model": MODEL, "input": _TOO_LONG, "stream": chance.random() < 0.5}
    answer = await _post(client, "/responses", body)
    if answer.status_code == 200:  # it took so long that the stream had begun
        last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
        error = json.loads(last.removeprefix("data: "))["response"]["error"]
    else:
        error = answer.json()["error"]
    _require(error["code"], "context_length_exceeded")


_KINDS = {
    "chat": {
        "answer": (_chat_answer, 40),
        "whole": (_chat_whole, 15),
        "call": (_chat_call, 20),
        "leaves": (_chat_leaves, 24),
        "too long": (_chat_too_long, 1),
    },
    "responses": {
        "answer": (_response_answer, 40),
        "whole": (_response_whole, 15),
        "call": (_response_call, 20),
        "leaves": (_response_leaves, 14),
        "cancelled": (_response_cancelled, 10),
        "too long": (_response_too_long, 1),
    },
}
