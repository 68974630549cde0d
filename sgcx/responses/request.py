"""The body of `POST /v1/responses`, typed. JSON in, `ResponsesRequest` out, or `InvalidRequest` with its `param`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sgcx.errors import InvalidRequest
from sgcx.responses.constraint import unenforceable
from sgcx.responses.input.compaction import CompactionWish, parse_compaction_wish
from sgcx.responses.input.items import InputReader
from sgcx.responses.items import InputItem
from sgcx.responses.parsing import Node, body_node
from sgcx.responses.seal import Seal
from sgcx.responses.tools.choice import ToolChoice, parse_tool_choice
from sgcx.responses.tools.declared import echoed_tools
from sgcx.responses.tools.table import ToolTable, parse_tool_table
from sgcx.responses.wire import JsonObject, JsonValue

_SEALED_REASONING = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_MAX_TOP_LOGPROBS = 20
_STATEFUL = ("previous_response_id", "conversation")
_EFFORTS_WITHOUT_THINKING = ("none", "minimal")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """`schema` is None for plain text; `{}` where any JSON object is asked for."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str = "response"
    schema: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    model: str | None
    input: tuple[InputItem, ...]
    instructions: str | None
    tools: ToolTable
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    thinking: bool
    text_format: TextFormat
    temperature: float | None
    top_p: float | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    summarize: bool
    """Reasoning is shown as a summary."""
    live_reasoning: bool
    """Raw reasoning is streamed: the client spoke of reasoning, so it knows those events. Open Responses has none."""
    sealed_reasoning: bool
    """Reasoning items carry their content encrypted."""
    top_logprobs: int | None
    """None: no logprobs at all; 0: those of the answer's own tokens."""
    prompt_cache_key: str | None
    compaction: CompactionWish | None
    truncate: bool
    """Items may go where the prompt does not fit; else that is an error."""
    generate: bool
    """False: only the prompt cache is filled; the response has no output, and can be continued."""
    stream: bool
    background: bool
    ignored: tuple[str, ...]
    """What the request asked for and does not get, as `path=value`."""
    echo: JsonObject
    """The fields that the response repeats, as the client sent them."""

    @property
    def max_calls(self) -> int | None:
        """How many calls this response may make; None: no limit."""
        return self.max_tool_calls if self.parallel_tool_calls and not self.tool_choice.exactly_one else 1


def parse_request(
    body: object, *, earlier: Sequence[JsonObject] = (), stateful: bool = False, seal: Seal | None = None
) -> ResponsesRequest:
    """Raises `InvalidRequest`. Unknown fields are passed over, as the API does.

    `earlier`: the items that the request continues. `stateful`: there is a store that they came from.
    `seal`: opens what clients carry sealed; None opens nothing.
    """
    node = body_node(body)
    _refuse_state(node, stateful, continued=bool(earlier))
    tools, conversation, ignored = _conversation(node, earlier, seal)
    tool_choice, ignored_choice = parse_tool_choice(node.get("tool_choice"), tools)
    included, ignored_includes = _include(node.get("include"))
    text_format = _text_format(conversation.text or node.get("text"))
    return ResponsesRequest(
        model=node.get("model").optional_string(),
        input=tuple(conversation.items),
        instructions=node.get("instructions").optional_string(),
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=node.get("parallel_tool_calls").boolean(True),
        thinking=_thinking(node, conversation.reasoning or node.get("reasoning")),
        text_format=text_format,
        temperature=node.get("temperature").optional_number(0, 2),
        top_p=node.get("top_p").optional_number(0, 1),
        max_output_tokens=node.get("max_output_tokens").optional_integer(1),
        max_tool_calls=node.get("max_tool_calls").optional_integer(1),
        summarize=_summarize(node.get("reasoning")),
        live_reasoning=not node.get("reasoning").is_null() or _SEALED_REASONING in included,
        sealed_reasoning=_SEALED_REASONING in included,
        top_logprobs=_top_logprobs(node.get("top_logprobs"), included),
        prompt_cache_key=node.get("prompt_cache_key").optional_string(),
        compaction=parse_compaction_wish(node.get("context_management"), node.get("input")),
        truncate=_truncate(node.get("truncation")),
        generate=_generate(node),
        stream=node.get("stream").boolean(False),
        background=node.get("background").boolean(False),
        ignored=(*ignored, *unenforceable(tools, text_format.schema), *ignored_choice, *ignored_includes),
        echo=_echo(node, stateful),
    )


def _conversation(
    node: Node, earlier: Sequence[JsonObject], seal: Seal | None
) -> tuple[ToolTable, InputReader, tuple[str, ...]]:
    """Tools come first: items speak of them by the names under which the model sees them."""
    history, own = Node(list(earlier), "history"), node.get("input")
    if own.is_null() and all(node.get(field).is_null() for field in _STATEFUL):
        raise InvalidRequest("`input` is required: a string or an array of items", param="input")
    tools, ignored = parse_tool_table(node.get("tools"), [*history.items(), *(() if own.is_string() else own.items())])
    reader = InputReader(tools, seal)
    reader.read(history)
    reader.read(own)
    return tools, reader, (*ignored, *reader.ignored)


def _refuse_state(node: Node, stateful: bool, *, continued: bool) -> None:
    for field in () if stateful or continued else _STATEFUL:
        if not node.get(field).is_null():
            raise InvalidRequest(
                f"`{field}` is not supported: nothing is stored here, send the whole history in `input`",
                param=field,
            )
    if not node.get("prompt").is_null():
        raise InvalidRequest("`prompt` is not supported: there are no prompt templates here", param="prompt")
    if node.get("background").boolean(False) and not (stateful and node.get("store").boolean(True)):
        raise InvalidRequest("`background` needs `store`: nothing is kept of this response", param="background")


def _truncate(node: Node) -> bool:
    if node.value not in (None, "auto", "disabled"):
        raise InvalidRequest('`truncation` must be "auto" or "disabled"', param="truncation")
    return node.value == "auto"


def _generate(node: Node) -> bool:
    """`prompt_cache_options.prewarm` overrides `generate`."""
    options = node.get("prompt_cache_options")
    prewarm = not options.is_null() and options.get("prewarm").boolean(False)
    return node.get("generate").boolean(True) and not prewarm


def _thinking(node: Node, reasoning: Node) -> bool:
    """Any effort but `none` and `minimal` thinks. A client that only wants a title for a thread does not."""
    if not reasoning.is_null():
        effort = reasoning.get("effort").optional_string()
        if effort in _EFFORTS_WITHOUT_THINKING:
            return False
    return _thread_source(node) != "thread_title"


def _include(node: Node) -> tuple[frozenset[str], tuple[str, ...]]:
    """What the output should hold besides, and what it cannot."""
    wanted = {element.string(): element.path for element in node.items()}
    known = frozenset(wanted) & {_SEALED_REASONING, _LOGPROBS}
    return known, tuple(f"{path}={name}" for name, path in wanted.items() if name not in known)


def _summarize(reasoning: Node) -> bool:
    """Every kind of summary is the same here; `generate_summary` is the field's first name."""
    if reasoning.is_null():
        return False
    wanted = [reasoning.get(name).optional_string() for name in ("summary", "generate_summary")]
    return any(label not in (None, "none") for label in wanted)


def _top_logprobs(node: Node, included: frozenset[str]) -> int | None:
    """Either field asks for them."""
    top = node.optional_integer(0, _MAX_TOP_LOGPROBS) or 0
    return top if top or _LOGPROBS in included else None


def _thread_source(node: Node) -> JsonValue:
    """Codex says in its metadata, as JSON text, what a request is for."""
    metadata = node.get("client_metadata")
    if metadata.is_null():
        return None
    turn = metadata.get("x-codex-turn-metadata").value
    try:
        decoded = json.loads(turn) if isinstance(turn, str) else None
    except (ValueError, RecursionError):
        return None
    return decoded.get("thread_source") if isinstance(decoded, dict) else None


def _text_format(text: Node) -> TextFormat:
    form = text.get("format") if not text.is_null() else Node(None, "text.format")
    if form.is_null():
        return TextFormat("text")
    match form.get("type").string():
        case "text":
            return TextFormat("text")
        case "json_object":
            return TextFormat("json_object", schema={"type": "object"})
        case "json_schema":
            return TextFormat(
                "json_schema",
                name=form.get("name").optional_string() or "response",
                schema=form.get("schema").as_object(),
            )
        case other:
            raise InvalidRequest(
                f"`text.format.type` must be text, json_object or json_schema, not {other!r}",
                param="text.format.type",
            )


_ECHOED: JsonObject = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The response repeats these; the values are what the API answers where the client said nothing."""


def _echo(node: Node, stateful: bool) -> JsonObject:
    _require_types(node)
    body = node.as_object()
    echo = {name: default if (sent := body.get(name)) is None else sent for name, default in _ECHOED.items()}
    echo["tools"] = echoed_tools(node.get("tools"))
    reasoning = node.get("reasoning")
    effort = None if reasoning.is_null() else reasoning.get("effort").value
    summary = None if reasoning.is_null() else reasoning.get("summary").value
    echo["reasoning"] = {"effort": effort, "summary": None if summary == "none" else summary}
    text = node.get("text")
    if not text.is_null():
        echo["text"] = {"format": {"type": "text"}, **{k: v for k, v in text.as_object().items() if v is not None}}
    echo["store"] = stateful and node.get("store").boolean(True)
    conversation = node.get("conversation")
    if not conversation.is_null():
        echo["conversation"] = {"id": conversation.value} if conversation.is_string() else conversation.value
    return echo


def _require_types(node: Node) -> None:
    """Of what is only repeated: clients read a response by the types that it is documented with."""
    for name in ("safety_identifier", "service_tier", "user"):
        node.get(name).optional_string()
    for name in ("frequency_penalty", "presence_penalty"):
        node.get(name).optional_number(-2, 2)
    metadata = node.get("metadata")
    if not metadata.is_null():
        for key in metadata.as_object():
            metadata.get(key).string()
