"""What of SGLang the endpoint in its process stands on, looked up before anything is mounted.

Releases move their insides without notice, so no version is trusted: the same look-up runs in all of them. It imports
SGLang's server and reads signatures, fields and assignments; it starts and changes nothing.
"""

from __future__ import annotations

import dis
import inspect
import logging
import os
import pkgutil
from collections.abc import Iterable, Iterator
from types import CodeType

logger = logging.getLogger(__name__)

_SERVER = "sglang.srt.entrypoints.http_server"
_CHAT = "sglang.srt.entrypoints.openai.serving_chat:OpenAIServingChat"
_MANAGER = "sglang.srt.managers.tokenizer_manager:TokenizerManager"
_CHAT_REQUEST = "sglang.srt.entrypoints.openai.protocol:ChatCompletionRequest"
_GENERATION = "sglang.srt.managers.io_struct:GenerateReqInput"

_CALLED = (
    # With how many arguments by position, and which by name.
    ("sglang.srt.server_args:prepare_server_args", 1, ()),
    ("sglang.launch_server:run_server", 1, ()),
    ("sglang.srt.utils.auth:add_api_key_middleware", 1, ("api_key", "admin_api_key")),
    (f"{_CHAT}._validate_request", 2, ()),
    (f"{_CHAT}._convert_to_internal_request", 3, ()),
    (f"{_CHAT}._handle_last_assistant_message", 3, ()),
    (f"{_MANAGER}.generate_request", 3, ()),
    (f"{_MANAGER}.abort_request", 2, ()),
    (f"{_MANAGER}._tokenize_one_request", 2, ()),
    (f"{_GENERATION}.contains_mm_input", 1, ()),
    (f"{_GENERATION}.normalize_batch_and_arguments", 1, ()),
)
_ASSIGNED = (
    (_SERVER, ("openai_serving_chat",)),
    (_CHAT, ("tool_call_parser", "tokenizer_manager")),
    (_MANAGER, ("tokenizer", "context_len", "gracefully_exit", "rid_to_state")),
)
_FIELDS = (
    (
        _CHAT_REQUEST,
        (
            *("messages", "tools", "chat_template_kwargs", "temperature", "top_p", "stream", "rid"),
            *("separate_reasoning", "skip_special_tokens", "logprobs", "top_logprobs", "max_completion_tokens"),
        ),
    ),
    (_GENERATION, ("input_ids", "text", "sampling_params", "require_reasoning")),
)
_REPLACED_ROUTE = "/v1/responses"
_ANOTHER_SERVER = "SGLANG_RUST_SERVER"


def missing_surfaces() -> tuple[str, ...]:
    """What this SGLang lacks, in words; nothing where the endpoint can be mounted."""
    missing: list[str] = []
    if os.environ.get(_ANOTHER_SERVER, "0").lower() in ("1", "true"):
        missing.append(f"Python's HTTP server, which {_ANOTHER_SERVER} replaces")
    for name, count, keywords in _CALLED:
        if not _takes(_found(name), count, keywords):
            by_name = f" and {', '.join(keywords)}" if keywords else ""
            missing.append(f"{_short(name)} that takes {count} argument{'s'[: count != 1]}{by_name}")
    for name, attributes in _ASSIGNED:
        assigned = set(_assigned(_found(name)))
        missing += [f"{_short(name)} that sets {each}" for each in attributes if each not in assigned]
    for name, fields in _FIELDS:
        known = _field_names(_found(name))
        missing += [f"{_short(name)} with a field {each}" for each in fields if each not in known]
    if not any(getattr(route, "path", None) == _REPLACED_ROUTE for route in routes()):
        missing.append(f"the route {_REPLACED_ROUTE}")
    return tuple(missing)


def routes() -> list[object]:
    """Of SGLang's HTTP server, in the order in which they are tried. Empty where there is no such list."""
    found = getattr(getattr(_found(f"{_SERVER}:app"), "router", None), "routes", None)
    return found if isinstance(found, list) else []


def _found(name: str) -> object:
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # whatever an unknown release does while it is imported
        logger.warning("%s is not found: %r", name, error)
        return None


def _short(name: str) -> str:
    return name.rpartition(":")[2].rpartition("sglang.srt.")[2]


def _takes(function: object, count: int, keywords: tuple[str, ...]) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(count), **dict.fromkeys(keywords))
    except (TypeError, ValueError):
        return False
    return True


def _assigned(owner: object) -> Iterator[str]:
    """Names of the attributes that the functions of a module, or the methods of a class and its bases, assign."""
    owners: Iterable[object] = owner.__mro__ if isinstance(owner, type) else [owner]
    for each in owners:
        for function in list(getattr(each, "__dict__", {}).values()):
            code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
            if isinstance(code, CodeType):
                yield from (str(step.argval) for step in dis.get_instructions(code) if step.opname == "STORE_ATTR")


def _field_names(model: object) -> set[str]:
    for kind in ("model_fields", "__dataclass_fields__", "__struct_fields__"):
        fields = getattr(model, kind, None)
        if fields is not None:
            return set(fields)
    return set()
