"""What `sgcx up` shows of SGLang 0.5.10.post1 on eight H200s: lines as it logged them there, most left out."""

from __future__ import annotations

from sgcx.server.launch_progress import LaunchProgress, StageChange

TARGET = "[TP0] Load weight end. elapsed=1.48 s, type=DeepseekV3ForCausalLM, avail mem=57.44 GB, mem usage=80.57 GB."
DRAFT = "[TP0] Load weight end. elapsed=0.03 s, type=DeepseekV3ForCausalLMNextN, avail mem=14.90 GB, mem usage=2.00 GB."


def bar(name: str, size: str, done: int, total: int) -> str:
    return f"{name} ({size} avail_mem=15.60 GB): {done * 100 // total:3}%|##   | {done}/{total} [00:12<01:00,  1.0s/it]"


def counts(lines: list[str]) -> list[tuple[int | None, int | None]]:
    progress = LaunchProgress()
    return [(change.done, change.total) for line in lines if (change := progress.feed(line)) is not None]


def test_a_prefill_that_is_compiled_and_captured_in_pieces_is_counted_like_the_batches_before_it():
    lines = [
        bar("Capturing batches", "bs=1", 6, 6),
        *(bar("Compiling num tokens", "num_tokens=576", done, 42) for done in (0, 12, 42)),
        *(bar("Capturing num tokens", "num_tokens=576", done, 42) for done in (0, 42)),
    ]
    assert counts(lines) == [(6, 6), (0, 42), (12, 42), (42, 42), (0, 42), (42, 42)]


def test_a_slower_rank_turns_nothing_back():
    lines = [
        bar("Compiling num tokens", "num_tokens=4", 42, 42),
        bar("Capturing num tokens", "num_tokens=2048", 5, 42),
        bar("Compiling num tokens", "num_tokens=8", 41, 42),
        bar("Capturing num tokens", "num_tokens=2048", 4, 42),
    ]
    assert counts(lines) == [(42, 42), (5, 42)]


def test_the_weights_are_the_models_and_not_its_drafts():
    progress = LaunchProgress()
    assert [progress.feed(line) for line in (TARGET, DRAFT)] == [StageChange(progress.stage), None]
    assert progress.facts.weights_gib == 80.57
