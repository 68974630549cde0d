"""The engine inside SGLang's own process: under its chat handler, straight to the tokenizer manager.

SGLang's request conversion is used as it is (chat template, multimodal input, limits); its parsers are not: the
model's raw text, markers included, goes to our dialect. `_convert_to_internal_request` and `generate_request`
have the same signatures from 0.5.10.post1 to 0.5.23.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from time import perf_counter
from typing import Protocol, cast

from sgcx.engines.call_arguments import with_arguments
from sgcx.engines.pacing import ProcessPace, StreamPace
from sgcx.engines.prompt_bound import refuse_far_too_long
from sgcx.engines.refusals import refusal, unreadable_image
from sgcx.engines.sglang_chunks import ChunkReader, usage
from sgcx.engines.sglang_outputs import GenerateRequest, Manager, outputs
from sgcx.engines.structural_tags import enforceable_tag
from sgcx.errors import EngineError
from sgcx.responses.deltas import EngineDelta, Finished, ToolCallFinished
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import EngineRequest
from sgcx.responses.generation.logprob_alignment import LogprobAlignment

logger = logging.getLogger(__name__)

PROMPT_TAIL_TOKENS = 8
_NEVER = -1e9
"""A bias that outweighs every logit."""

_RENDERING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sgcx-render")
"""Long conversations take long to render and tokenize: off the event loop, and one at a time, since fast
tokenizers are not re-entrant."""


class _Tokenizer(Protocol):
    def decode(self, token_ids: list[int]) -> str: ...

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...


class _TokenizedRequest(Protocol):
    input_ids: list[int]


class _TokenizerManager(Manager, Protocol):
    tokenizer: _Tokenizer
    context_len: int
    gracefully_exit: bool
    server_args: object

    def abort_request(self, rid: str) -> None: ...

    async def _tokenize_one_request(self, obj: GenerateRequest) -> _TokenizedRequest: ...


class _ChatHandler(Protocol):
    tokenizer_manager: _TokenizerManager

    def _convert_to_internal_request(self, request: object, raw_request: object) -> tuple[GenerateRequest, object]: ...

    def _validate_request(self, request: object) -> str | None: ...


class SglangEngine:
    """`chat_handler`: SGLang's `OpenAIServingChat`. `raw_request`: the client's connection, for its headers.

    `pace`: one for all engines of the process.
    """

    def __init__(self, chat_handler: object, dialect: Dialect, raw_request: object, pace: ProcessPace) -> None:
        self._chat = _raw_text_handler(chat_handler)
        self._dialect = dialect
        self._raw_request = raw_request
        self._pace = pace

    async def generate(self, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
        manager = self._chat.tokenizer_manager
        if manager.gracefully_exit:
            raise EngineError("The server is shutting down", code=None, status=503, retry_after_s=30)
        generation = await asyncio.get_running_loop().run_in_executor(_RENDERING, self._convert, request)
        reader = ChunkReader(
            self._dialect.reader(prompt_tail=self._prompt_tail(generation)),
            LogprobAlignment() if request.top_logprobs is not None else None,
        )
        pace = StreamPace(self._pace)
        calls = 0
        try:
            async with aclosing(outputs(manager, generation, request.request_id)) as chunks:
                async for chunk in chunks:
                    pace.begin_piece(perf_counter())
                    for delta in reader.feed(chunk):
                        yield delta
                        calls += isinstance(delta, ToolCallFinished)
                        if calls == request.constraint.max_calls:
                            yield Finished("stop", usage(chunk["meta_info"]))  # and what else it would do is aborted
                            return
                    tokens, streams = chunk["meta_info"].get("completion_tokens", 0), len(manager.rid_to_state)
                    if not reader.finished and (pause_s := pace.end_piece(tokens, streams, perf_counter())):
                        await asyncio.sleep(pause_s)
        finally:
            if not reader.finished:
                manager.abort_request(request.request_id)

    async def count_tokens(self, request: EngineRequest) -> int:
        generation, count = await asyncio.get_running_loop().run_in_executor(
            _RENDERING, self._convert_and_count, request
        )
        if count is not None:
            return count
        try:
            generation.normalize_batch_and_arguments()
            tokenized = await self._chat.tokenizer_manager._tokenize_one_request(generation)
        except ValueError as error:
            raise refusal(str(error), 400) from error
        except RuntimeError:  # counted here are prompts with images only
            raise unreadable_image() from None
        return len(tokenized.input_ids)

    def _convert_and_count(self, request: EngineRequest) -> tuple[GenerateRequest, int | None]:
        """None where images take room in the prompt: only SGLang's own processor knows how much."""
        generation = self._convert(request)
        if generation.input_ids is not None:
            return generation, len(generation.input_ids)
        if generation.contains_mm_input():
            return generation, None
        return generation, len(self._chat.tokenizer_manager.tokenizer.encode(generation.text or ""))

    def _convert(self, request: EngineRequest) -> GenerateRequest:
        manager = self._chat.tokenizer_manager
        refuse_far_too_long(
            request.messages,
            context_length=manager.context_len,
            count_tokens=lambda text: len(manager.tokenizer.encode(text, add_special_tokens=False)),
        )
        try:
            chat_request = _chat_request(request)
            problem = self._chat._validate_request(chat_request)
            if problem is not None:
                raise EngineError(problem, code="invalid_prompt", status=400)
            generation, _ = self._chat._convert_to_internal_request(chat_request, self._raw_request)
            self._constrain(generation, request)
            self._ask_for_several(generation)
        except ValueError as error:
            logger.warning("%s could not be rendered: %s", request.request_id, error)
            message = "The model's chat template refuses this conversation; the server's log says why"
            raise EngineError(message, code="invalid_prompt", status=400) from error
        return generation

    def _constrain(self, generation: GenerateRequest, request: EngineRequest) -> None:
        constraint = request.constraint
        # SGLang lets a grammar begin behind `</think>`; whether one will come it guesses from the model's family.
        generation.require_reasoning = request.thinking
        if constraint.binds:
            generation.sampling_params["structural_tag"] = enforceable_tag(constraint, self._dialect)
        if constraint.withheld and not constraint.tools:
            generation.sampling_params["logit_bias"] = self._no_calls()

    def _ask_for_several(self, generation: GenerateRequest) -> None:
        manager = self._chat.tokenizer_manager
        tokens = self._pace.tokens_at_a_time(len(manager.rid_to_state))
        # A draft is several tokens; the scheduler would miss the numbers that it counts to.
        if tokens > 1 and getattr(manager.server_args, "speculative_algorithm", "unknown") is None:
            generation.sampling_params["stream_interval"] = tokens

    def _no_calls(self) -> dict[str, float]:
        """Bias against the tokens that begin a call, for the reasoning too, where no grammar holds yet."""
        tokenizer = self._chat.tokenizer_manager.tokenizer
        encoded = [tokenizer.encode(marker, add_special_tokens=False) for marker in self._dialect.call_markers]
        return {str(ids[0]): _NEVER for ids in encoded if len(ids) == 1}

    def _prompt_tail(self, generation: GenerateRequest) -> str:
        if generation.input_ids is not None:
            return self._chat.tokenizer_manager.tokenizer.decode(generation.input_ids[-PROMPT_TAIL_TOKENS:])
        return (generation.text or "")[-64:]


def _raw_text_handler(chat_handler: object) -> _ChatHandler:
    """The handler without its parsers, and without its habit of turning a final assistant message into the user's."""
    handler = copy.copy(chat_handler)
    for attribute in ("tool_call_parser", "_handle_last_assistant_message"):
        if not hasattr(handler, attribute):
            raise RuntimeError(
                f"This SGLang's chat handler has no {attribute}; this version is not supported in process"
            )
    setattr(handler, "tool_call_parser", None)  # noqa: B010  (a foreign object)
    setattr(handler, "_handle_last_assistant_message", lambda messages, request: (messages, None))  # noqa: ARG005, B010
    return cast(_ChatHandler, handler)


def _chat_request(request: EngineRequest) -> object:
    from sglang.srt.entrypoints.openai.protocol import ChatCompletionRequest

    fields: dict[str, object] = {
        # Replayed to the last character (`sglang_arguments.py`), and never a 400 for JSON that the model got wrong.
        "messages": [with_arguments(message, json.dumps) for message in request.messages],
        "chat_template_kwargs": dict(request.template_arguments),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stream": True,
        "separate_reasoning": False,
        "skip_special_tokens": False,
        "rid": request.request_id,
    }
    if request.tools:
        fields["tools"] = list(request.tools)
    if request.top_logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.max_new_tokens is not None:
        fields["max_completion_tokens"] = request.max_new_tokens
    return cast(object, ChatCompletionRequest(**fields))
