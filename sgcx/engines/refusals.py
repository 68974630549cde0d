"""Why an engine did not serve a request, as `EngineError`. Engines tell their reasons in prose only."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import orjson

from sgcx.errors import EngineError

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 2
_MAX_MESSAGE_CHARACTERS = 500

_CONTEXT_PHRASES = (
    # SGLang 0.5.10.post1 to 0.5.23; vLLM and LMDeploy say "context length" too.
    "context length",
    "longer than the model",
    "maximum allowed length",
    "too long",
    # llama.cpp
    "exceeds the available context size",
)


def refusal(message: str, status: int) -> EngineError:
    """What SGLang's tokenizer or scheduler said, in process."""
    if status == 400:
        return _bad_request(message)
    if status in (429, 503):
        return EngineError("The engine's queue is full", code=None, status=503, retry_after_s=RETRY_AFTER_S)
    logger.error("the engine aborted a request with status %s: %s", status, message)
    return EngineError("The engine aborted the request", code="server_error", status=500)


def unreadable_image() -> EngineError:
    """SGLang's own words repeat the image."""
    return EngineError("An image of the input cannot be loaded", code="invalid_prompt", status=400)


def upstream_refusal(status: int, message: str, *, model: str, retry_after_s: int | None = None) -> EngineError:
    """What an engine behind HTTP answered, as a status or as an error inside its stream."""
    match status:
        case 400 | 413 | 422:
            return _bad_request(message)
        case 401 | 403:
            return EngineError(
                "The upstream engine refused this gateway's key (not the client's): the operator must give it "
                "the right one with --upstream-key-file",
                code="upstream_authentication_failed",
                status=502,
            )
        case 404:
            return EngineError(
                f"The upstream engine does not serve the model {model!r}: {message}", code="model_not_found", status=404
            )
        case 429 | 503:
            wait_s = RETRY_AFTER_S if retry_after_s is None else retry_after_s
            return EngineError(
                f"The upstream engine takes no request now: {message}", code=None, status=503, retry_after_s=wait_s
            )
        case _:
            logger.error("the upstream engine answered with status %s: %s", status, message)
            return EngineError(
                f"The upstream engine failed with status {status}", code="server_error", status=_server_status(status)
            )


def refuses_grammar(error: EngineError) -> bool:
    """SGLang: "Failed to compile structural_tag grammar: …", "Grammar preprocessing timed out: …"."""
    return error.status == 400 and "grammar" in error.message.lower()


def upstream_unreachable(problem: str) -> EngineError:
    return EngineError(
        f"The upstream engine does not answer: {problem}", code=None, status=503, retry_after_s=RETRY_AFTER_S
    )


def upstream_nonsense(problem: str) -> EngineError:
    return EngineError(f"The upstream engine's answer cannot be used: {problem}", code="server_error", status=502)


def error_message(body: object) -> str:
    """The prose in an error of any of the usual shapes: `{"error": {"message"}}`, `{"message"}`, `{"detail"}`, text."""
    match body:
        case {"error": error} if error:
            return error_message(error)
        case {"message": str(message)} | {"detail": str(message)}:
            return message[:_MAX_MESSAGE_CHARACTERS]
        case str():
            return body[:_MAX_MESSAGE_CHARACTERS]
        case Mapping() | list():
            return orjson.dumps(body, default=str).decode()[:_MAX_MESSAGE_CHARACTERS]
        case _:
            return "no reason given"


def _bad_request(message: str) -> EngineError:
    too_long = any(phrase in message for phrase in _CONTEXT_PHRASES)
    return EngineError(message, code="context_length_exceeded" if too_long else "invalid_prompt", status=400)


def _server_status(status: int) -> int:
    """Only a failure of the engine itself is passed on as one; all else is an upstream that does not fit."""
    return 500 if status == 500 else 502
