"""The arguments of past calls, in the SGLang releases that decode them differently."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from sgcx.engines.sglang_arguments import decode_any_arguments, decodes_any_arguments


@pytest.mark.parametrize(
    ("version", "verbatim"),
    [("0.5.10.post1", True), ("0.5.11", True), ("0.5.16", False), ("0.5.23", False), ("", False), ("main", False)],
)
def test_only_releases_that_decode_any_arguments_get_them_encoded_once_more(version: str, verbatim: bool) -> None:
    assert decodes_any_arguments(version) is verbatim


def _strict(arguments: str) -> object:
    """As 0.5.16 to 0.5.23 have it."""
    try:
        decoded = json.loads(arguments)
    except ValueError as error:
        raise ValueError("must be valid JSON") from error
    if not isinstance(decoded, dict):
        raise ValueError("must be a JSON object")
    return decoded


def test_a_strict_sglang_takes_what_was_encoded_twice_and_refuses_the_rest_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("serving_chat")
    module.parse_tool_call_arguments = _strict
    package = ModuleType("sglang.srt.entrypoints.openai")
    package.serving_chat = module
    for name in ("sglang", "sglang.srt", "sglang.srt.entrypoints"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    decode_any_arguments()
    for written in ('{"cmd":  "ls"}', '{"cmd": "ls'):
        assert module.parse_tool_call_arguments(json.dumps(written)) == written
    assert module.parse_tool_call_arguments('{"cmd": 1}') == {"cmd": 1}
    for refused in ("[1]", "{"):
        with pytest.raises(ValueError, match="must be"):
            module.parse_tool_call_arguments(refused)
