"""`sgcx plan` word for word: `tests/cli/plans` has each view, and SGCX_UPDATE_VIEWS=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_runner import Sgcx
from recorded_machines import machine_file

VIEWS = Path(__file__).parent / "plans"
CASES = {
    "kimi-8xH200-80": (80, "kimi-k2.6", "8xH200", ()),
    "kimi-8xH200-120": (120, "kimi-k2.6", "8xH200", ()),
    "r1-8xH200-latency-ascii": (
        80,
        "deepseek-r1",
        "8xH200",
        ("--prefer", "latency", "--host-cache", "auto", "--ascii"),
    ),
    "kimi-two-nodes": (120, "kimi-k2.6", "8xH100_infiniband", ("--nodes", "2", "--dist-init-addr", "10.0.0.1:20000")),
    "r1-compared": (80, "deepseek-r1", "4xB200", ("--compare",)),
    "qwen-32b-mixed-GPUs": (80, "r1-distill-qwen-32b", "mixed_GPUs", ()),
}


@pytest.mark.parametrize("name", CASES)
def test_a_view_is_what_it_was(sgcx: Sgcx, name: str) -> None:
    columns, model, machine, options = CASES[name]
    said = sgcx("plan", model, "--hardware", str(machine_file(machine)), *options, COLUMNS=str(columns), NO_COLOR="1")
    shown = "\n".join(line.rstrip() for line in said.stdout.splitlines()) + "\n"
    view = VIEWS / f"{name}.txt"
    if os.environ.get("SGCX_UPDATE_VIEWS"):
        view.parent.mkdir(exist_ok=True)
        view.write_text(shown, encoding="utf-8")

    assert said.exit_code == 0
    assert "\x1b" not in shown
    if name.endswith("ascii"):
        assert shown.isascii()
    if not shown.count("sglang.launch_server"):
        assert max(map(len, shown.splitlines())) <= columns
    assert shown == view.read_text(encoding="utf-8")


def test_a_plan_for_a_program_has_the_fields_that_comparisons_need(sgcx: Sgcx) -> None:
    match sgcx("plan", "kimi-k2.6", "--hardware", str(machine_file("8xH200")), "--json").json:
        case {
            "variant": {"name": "int4"},
            "parallelism": {"tp_size": 8},
            "predicted": {
                "weights_bytes_per_gpu": int(weights),
                "max_total_num_tokens": int(tokens),
                "kv_bytes_per_token_per_gpu": 70_272,
                "calibrated": False,
            },
            "memory_per_gpu": {"total_bytes": int(total), "free_bytes": int(free)},
            "speed": {"decode_tokens_per_s": [float(), float()]},
        }:
            assert 71 < weights / (1 << 30) < 72
            assert 600_000 < tokens < 660_000
            assert total <= free
        case other:
            raise AssertionError(other)


def test_a_refusal_for_a_program_says_what_is_missing_and_ends_with_two(sgcx: Sgcx) -> None:
    said = sgcx("plan", "kimi-k2.6", "--hardware", str(machine_file("8xH100")), "--json")

    assert said.exit_code == 2
    match said.json:
        case {"refused": str(), "missing_bytes": int(missing), "nearest": ["deepseek-r1", *_], "node_count": 2}:
            assert missing > 0
        case other:
            raise AssertionError(other)


def test_a_table_that_would_break_words_becomes_paragraphs(sgcx: Sgcx) -> None:
    compare = ("plan", "deepseek-r1", "--compare", "--hardware", str(machine_file("8xH200")))

    assert "Variant  GPUs  Weights" in sgcx(*compare).stdout
    first, second, *_ = sgcx(*compare, COLUMNS="40").stdout.split("\n\n")
    assert first.startswith("Variant  fp8\nGPUs     8\nWeights  80.1 GiB\n")
    assert second.startswith("Variant  nvfp4\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prefer", "speed"), "--prefer 'speed' is neither latency nor throughput"),
        (("--gpus", "a"), "--gpus 'a' is no list of GPU indices"),
        (("--gpus", "0,1,0"), "--gpus '0,1,0' names a GPU twice"),
        (("--hardware", "absent.json"), "--hardware absent.json cannot be read: No such file or directory"),
        (("--hardware", "plain.txt"), "--hardware plain.txt is not JSON: Expecting value"),
        (("--variant", "q4"), "kimi-k2.6 has no variant 'q4'"),
        (("--host-cache", "much"), "--host-cache 'much' is neither auto nor a number of GiB"),
        (("--dp", "3"), "--dp must be a power of two, not 3"),
        (("--sglang", "0.4"), "SGLang 0.4 is no release that sgcx can plan for"),
    ],
)
def test_wishes_that_mean_nothing_are_named(sgcx: Sgcx, home: Path, options: tuple[str, ...], message: str) -> None:
    (home / "plain.txt").write_text("no JSON")
    said = sgcx("plan", "kimi-k2.6", "--hardware", str(machine_file("8xH200")), *options)

    assert said.exit_code == 2
    assert message in said.stderr
