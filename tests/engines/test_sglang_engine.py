"""`SglangEngine` where SGLang refuses a request: its words, and what a client gets to read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.engines import sglang
from sgcx.engines.pacing import ProcessPace
from sgcx.engines.sglang import SglangEngine
from sgcx.errors import EngineError
from sgcx.responses.constraint import Constraint
from sgcx.responses.engine import EngineRequest

REQUEST = EngineRequest(
    request_id="resp_1",
    messages=(),
    tools=(),
    template_arguments={},
    temperature=1.0,
    top_p=1.0,
    max_new_tokens=None,
    constraint=Constraint(),
    thinking=True,
)
IMAGE_ERROR = RuntimeError("An exception occurred while loading IMAGE data at index 0: data:image/png;base64,SECRET")


class RefusingManager:
    """SGLang's tokenizer manager as far as it comes with a request that its tokenizing refuses."""

    context_len = 1000
    gracefully_exit = False
    server_args = None

    def __init__(self, error):
        self.error = error
        self.rid_to_state = {}
        self.aborted = []

    async def generate_request(self, generation, _request):
        await self._tokenize_one_request(generation)
        yield {}

    async def _tokenize_one_request(self, _generation):
        raise self.error

    def abort_request(self, rid):
        self.aborted.append(rid)


def engine(error, *, images, monkeypatch):
    generation = SimpleNamespace(
        input_ids=None,
        text="a prompt",
        sampling_params={},
        contains_mm_input=lambda: images,
        normalize_batch_and_arguments=lambda: None,
    )
    chat_handler = SimpleNamespace(
        tokenizer_manager=RefusingManager(error),
        tool_call_parser=None,
        _handle_last_assistant_message=None,
        _validate_request=lambda _: None,
        _convert_to_internal_request=lambda *_: (generation, None),
    )
    monkeypatch.setattr(sglang, "_chat_request", lambda request: request)
    return SglangEngine(chat_handler, KimiK2(), None, ProcessPace())


def test_an_image_that_does_not_load_is_the_clients_error_and_is_not_repeated(monkeypatch):
    refusing = engine(IMAGE_ERROR, images=True, monkeypatch=monkeypatch)
    for asked in (anext(refusing.generate(REQUEST)), refusing.count_tokens(REQUEST)):
        with pytest.raises(EngineError) as refused:
            asyncio.run(asked)
        assert (refused.value.status, refused.value.code) == (400, "invalid_prompt")
        assert refused.value.__suppress_context__  # what a traceback shows
        assert "SECRET" not in refused.value.message


def test_another_failure_is_no_clients_error(monkeypatch):
    with pytest.raises(RuntimeError, match="out of order"):
        asyncio.run(
            anext(engine(RuntimeError("out of order"), images=False, monkeypatch=monkeypatch).generate(REQUEST))
        )


def test_a_prompt_that_is_too_long_says_so(monkeypatch):
    too_long = ValueError("The input (9 tokens) is longer than the model's context length (8 tokens).")
    with pytest.raises(EngineError) as refused:
        asyncio.run(anext(engine(too_long, images=False, monkeypatch=monkeypatch).generate(REQUEST)))
    assert (refused.value.status, refused.value.code) == (400, "context_length_exceeded")
