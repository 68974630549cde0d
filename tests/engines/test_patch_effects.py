"""What each patch does, seen on SGLang's own code: the same probes on the published package and on the patched one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sgcx.engines import cpu_shims
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.registry import PATCHES
from sgcx.engines.patches.view import write_view

pytestmark = pytest.mark.engine

_PROBES = Path(__file__).parent / "probes"
_CANCELS_SURELY = (3, 12)
"""The Python whose `asyncio.wait_for` loses no cancellation. The engine has this Python's version."""


@dataclass(frozen=True)
class Effect:
    with_patch: object
    without: object


@pytest.fixture(scope="module")
def effects(sglang_site_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Effect]:
    folder = tmp_path_factory.mktemp("views")
    installation = SglangInstallation.find(sglang_site_packages)
    every = frozenset(patch.name for patch in PATCHES)
    patched = _probe(sglang_site_packages, write_view(installation, folder))
    published = _probe(sglang_site_packages, write_view(installation, folder, without=every))
    return {name: Effect(patched[name], published[name]) for name in patched}


def _probe(site_packages: Path, view: Path) -> dict[str, object]:
    """What the probes find in the engine's Python, with a view of SGLang in front."""
    shims = Path(cpu_shims.__file__).parent
    variables = {
        "PYTHONPATH": os.pathsep.join(map(str, (view, shims, _PROBES))),
        "SGLANG_USE_CPU_ENGINE": "1",
        "SGLANG_EXTRA_ROUTERS": "mounted:router",
    }
    command = [str(site_packages.parents[2] / "bin" / "python"), str(_PROBES)]
    result = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_every_patch_has_an_effect_that_is_tested(effects: Mapping[str, Effect]) -> None:
    assert set(effects) == {patch.name for patch in PATCHES}
    needless = {"cancelled-wait"} if sys.version_info >= _CANCELS_SURELY else set()
    assert {name for name, effect in effects.items() if effect.with_patch == effect.without} == needless


def test_a_mounted_router_answers_before_the_built_in_route(effects: Mapping[str, Effect]) -> None:
    effect = effects["mount-point"]
    assert (effect.with_patch, effect.without != effect.with_patch) == ("the mounted router", True)


def test_a_grammar_leaves_the_allowed_tokens_on_a_cpu(effects: Mapping[str, Effect]) -> None:
    effect = effects["cpu-grammar"]
    assert effect.with_patch == [1, 3]
    assert "Unsupported device: cpu" in str(effect.without)


def test_a_cpu_needs_no_fresh_processes(effects: Mapping[str, Effect]) -> None:
    effect = effects["cpu-fork"]
    assert effect.with_patch == {"cpu": "fork", "cuda": "spawn"}
    assert effect.without == {"cpu": "spawn", "cuda": "spawn"}


def test_an_aborted_request_is_told_and_forgotten_and_a_late_abort_is_harmless(effects: Mapping[str, Effect]) -> None:
    effect = effects["abort-state"]
    assert effect.with_patch == ["Abort in waiting queue", True, True, [], 1]
    assert "KeyError: 'never seen'" in str(effect.without)


def test_a_request_that_ends_early_leaves_no_state_and_is_aborted(effects: Mapping[str, Effect]) -> None:
    effect = effects["request-state"]
    assert effect.with_patch == {"left": [], "aborted": ["cancelled"]}
    assert effect.without == {"left": ["refused"], "aborted": []}


def test_a_cancellation_that_meets_an_output_is_not_lost(effects: Mapping[str, Effect]) -> None:
    assert effects["cancelled-wait"] == Effect(False, sys.version_info < _CANCELS_SURELY)


def test_an_abort_keeps_its_status(effects: Mapping[str, Effect]) -> None:
    effect = effects["abort-status"]
    assert effect.with_patch == [400, 408, 429, 503, "abort"]
    assert effect.without == [400, "abort", "abort", 503, "abort"]


def test_a_stream_gets_no_copies_of_its_token_ids(effects: Mapping[str, Effect]) -> None:
    own, copied = [[7], True], [[7], False]
    assert effects["id-copies"] == Effect([own, copied], [copied, copied])


def test_no_request_is_accepted_after_sigterm(effects: Mapping[str, Effect]) -> None:
    assert effects["drain-deadline"] == Effect(503, "accepted")


def test_a_stream_that_is_aborted_or_fails_ends_properly_and_tells_no_secret(effects: Mapping[str, Effect]) -> None:
    half = {"content": "half an "}
    aborted = [200, [half, "abort", "[DONE]"]]
    failed = [200, [half, "500: Internal server error", "[DONE]"]]
    assert effects["stream-errors"] == Effect([aborted, failed], [[200, [half, "cut"]]] * 2)


def test_a_refusal_before_the_first_token_has_its_status(effects: Mapping[str, Effect]) -> None:
    message = "The request queue is full."
    assert effects["first-chunk-status"] == Effect([503, [message]], [200, [f"503: {message}", "[DONE]"]])


def test_text_that_is_no_marker_after_all_is_delivered(effects: Mapping[str, Effect]) -> None:
    assert effects["held-text"].with_patch == {
        "reasoning_content": "one < two",
        "content": "an answer that ends with <|tool",
        "calls": [],
    }


def test_only_media_make_a_text_prompt_on_a_multimodal_model(effects: Mapping[str, Effect]) -> None:
    text = "decoded [1, 2, 3]"
    assert effects["text-as-ids"] == Effect([[1, 2, 3], None, None, text, 1], [None, text, None, text, 2])


def test_rendering_does_not_stop_the_event_loop(effects: Mapping[str, Effect]) -> None:
    assert effects["off-loop-rendering"] == Effect([200, False], [200, True])


def test_a_waiting_request_is_passed_over_a_number_of_times_only(effects: Mapping[str, Effect]) -> None:
    assert effects["queue-fairness"] == Effect(64, None)


def test_an_idle_server_does_not_sleep_over_a_grammar(effects: Mapping[str, Effect]) -> None:
    assert effects["idle-grammar"] == Effect([False, True], [True, True])


def test_a_past_call_with_bad_arguments_is_shown_to_the_model(effects: Mapping[str, Effect]) -> None:
    assert effects["history-arguments"] == Effect([200, '{"cmd": "ls'], [400])


def test_every_effort_is_accepted(effects: Mapping[str, Effect]) -> None:
    off = ["none", {"thinking": False, "enable_thinking": False}]
    assert effects["effort-values"] == Effect(
        [["low", None], ["high", None], ["high", None], off], ["refused", "refused", [None, None], off]
    )


def same_however_cut(normal: str, *calls: list[object]) -> list[object]:
    """One result for all cuts of a text, and the same for the whole text."""
    return [[[normal, list(calls)]], [normal, list(calls)]]


def test_kimis_calls_are_the_same_however_the_text_is_cut(effects: Mapping[str, Effect]) -> None:
    assert effects["kimi-tool-calls"].with_patch == {
        "two": same_however_cut("I look <|here.Done.", [0, "shell", '{"cmd": "a < b"}'], [1, "read", "{}"]),
        "odd ids": same_however_cut("AB", [0, "shell", "{}"]),
        # A stream has delivered the beginning; a whole answer leaves the call out.
        "cut off": [[["A", [[0, "read", "{}"], [1, "shell", "{"]]]], ["A", [[0, "read", "{}"]]]],
        "no call": same_however_cut("1 <| 2"),
    }


def test_deepseeks_calls_are_the_same_however_the_text_is_cut(effects: Mapping[str, Effect]) -> None:
    assert effects["deepseek-tool-calls"].with_patch == {
        "two": same_however_cut("See", [0, "shell", '{"cmd": "```"}'], [1, "read", "{}"]),
        "fences": ["Run:\n```sh\nls\n```\n", []],
        "cut off": [[["", [[0, "read", "{}"], [1, "shell", "{"]]]], ["", [[0, "read", "{}"]]]],
    }


def test_deepseek_v31s_calls_are_the_same_however_the_text_is_cut(effects: Mapping[str, Effect]) -> None:
    calls = ([0, "shell", '{"cmd": "ls"}'], [1, "read", "{}"])
    assert effects["deepseek-v31-tool-calls"].with_patch == same_however_cut("See", *calls)


def test_reasoning_is_the_same_however_the_text_is_cut(effects: Mapping[str, Effect]) -> None:
    answer = ["\nplan: a </b\n", "\n\nSay <think> to them"]
    no_end = ["I think < of", ""]
    call = ["plan ", '<|tool_calls_section_begin|>{"x": "</think>"}']
    assert effects["reasoning-split"].with_patch == {
        "answer": [[answer], answer],
        "no end": [[no_end], no_end],
        "call": [[call], call],
    }


@pytest.mark.parametrize("place", ["log", "server-info"])
def test_secrets_are_not_shown(effects: Mapping[str, Effect], place: str) -> None:
    secrets = ["common-key", "admins-key", "passphrase"]
    assert effects[f"secrets-in-{place}"] == Effect([[], True], [secrets, True])


def test_an_image_that_cannot_be_loaded_is_not_repeated(effects: Mapping[str, Effect]) -> None:
    assert effects["media-in-log"] == Effect([[False, True]] * 2, [[True, True], [True, False]])
