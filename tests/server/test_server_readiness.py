from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sgcx.errors import LaunchFailed
from sgcx.server.launch_progress import LaunchFacts, LaunchProgress, LaunchStage, StageChange
from sgcx.server.log_reading import LineSplitter
from sgcx.server.readiness import wait_ready
from sgcx.server.supervisor import ChildHandle, stop

SpawnChild = Callable[[str], ChildHandle]
LOGS = Path(__file__).parent / "logs"

TWO_RANKS = (
    b"[2026-01-01 00:00:00] server_args=ServerArgs(model_path='m', max_total_num_tokens=7, context_len=1)\n"
    b"[2026-01-01 00:00:01 TP0] Init torch distributed begin.\n"
    b"[2026-01-01 00:00:02 TP0] Load weight begin. avail mem=139.10 GB\n"
    b"\rMulti-thread loading shards:   0% Completed | 0/64 [00:00<?, ?it/s]"
    b"\rMulti-thread loading shards:   3% Completed | 2/64 [00:01<00:31, 2.0it/s]"
    b"[2026-01-01 00:00:02 TP1] Init torch distributed ends. elapsed=1.00 s, mem usage=1.20 GB\n"
    b"\rMulti-thread loading shards: 100% Completed | 64/64 [00:31<00:00, 2.0it/s]\n"
    b"[2026-01-01 00:00:40 TP0] Load weight end. elapsed=38.1 s, type=M, avail mem=66.1 GB, mem usage=70.63 GB.\n"
    b"[2026-01-01 00:00:41 TP0] KV Cache is allocated. #tokens: 912345, KV size: 50.10 GB\n"
    b"[2026-01-01 00:00:41 TP1] Load weight end. elapsed=39.1 s, type=M, avail mem=66.1 GB, mem usage=70.63 GB.\n"
    b"[2026-01-01 00:00:42 TP0] Capture cuda graph begin. This can take up to several minutes. avail mem=12 GB\n"
    b"\rCapturing batches (bs=16 avail_mem=11.9 GB):   0%|          | 0/5 [00:00<?, ?it/s]"
    b"\rCapturing batches (bs=1 avail_mem=11.5 GB): 100%|##########| 5/5 [00:04<00:00,  1.2it/s]\n"
    b"[2026-01-01 00:00:50 TP0] max_total_num_tokens=912345, chunked_prefill_size=8192, max_prefill_tokens=16384, "
    b"max_running_requests=128, context_len=262144, available_gpu_mem=11.20 GB\n"
    b"[2026-01-01 00:00:51] INFO:     Uvicorn running on http://127.0.0.1:30000 (Press CTRL+C to quit)\n"
    b'[2026-01-01 00:00:52] INFO:     127.0.0.1:1 - "GET /model_info HTTP/1.1" 200 OK\n'
    b"[2026-01-01 00:00:55] The server is fired up and ready to roll!\n"
)


def stages(chunks: Iterator[bytes]) -> tuple[list[StageChange], LaunchFacts]:
    progress, splitter = LaunchProgress(), LineSplitter()
    lines = (line for chunk in chunks for line in splitter.feed(chunk))
    return [change for line in lines if (change := progress.feed(line))], progress.facts


def test_the_stages_of_a_server_with_two_ranks_only_go_forward() -> None:
    changes, facts = stages(iter([TWO_RANKS]))
    assert [(change.stage.value, change.done, change.total) for change in changes] == [
        ("arguments", None, None),
        ("distributed", None, None),
        ("loading_weights", None, None),
        ("loading_weights", 0, 64),
        ("loading_weights", 2, 64),
        ("loading_weights", 64, 64),
        ("kv_cache", None, None),
        ("cuda_graphs", None, None),
        ("cuda_graphs", 0, 5),
        ("cuda_graphs", 5, 5),
        ("http", None, None),
        ("warmup", None, None),
        ("ready", None, None),
    ]
    assert facts == LaunchFacts(
        weights_gib=70.63,
        max_total_num_tokens=912345,
        max_running_requests=128,
        chunked_prefill_size=8192,
    )


@pytest.mark.parametrize("size", [1, 2, 7, 100, 4096])
def test_any_chunking_gives_the_same_stages(size: int) -> None:
    chunks = (TWO_RANKS[start : start + size] for start in range(0, len(TWO_RANKS), size))
    assert stages(chunks) == stages(iter([TWO_RANKS]))


def test_a_recorded_log_of_the_real_engine_gives_its_stages() -> None:
    changes, facts = stages(iter([(LOGS / "ready.log").read_bytes()]))
    assert list(dict.fromkeys(change.stage for change in changes)) == [
        LaunchStage.ARGUMENTS,
        LaunchStage.DISTRIBUTED,
        LaunchStage.LOADING_WEIGHTS,
        LaunchStage.KV_CACHE,
        LaunchStage.HTTP,
        LaunchStage.WARMUP,
        LaunchStage.READY,
    ]
    assert (facts.max_total_num_tokens, facts.max_running_requests) == (32768, 32)


def test_every_stage_has_a_label() -> None:
    assert all(stage.label for stage in LaunchStage)


def replay(name: str, then: str) -> str:
    """A child that writes a recorded log piece by piece and then goes on as told."""
    return (
        "import signal, sys\nfrom pathlib import Path\n"
        f"data = Path({str(LOGS / name)!r}).read_bytes()\n"
        "for start in range(0, len(data), 100):\n"
        "    sys.stdout.buffer.write(data[start:start + 100]); sys.stdout.buffer.flush()\n"
        f"{then}\n"
    )


def test_ready_is_when_health_says_so(spawn_child: SpawnChild) -> None:
    handle = spawn_child(replay("ready.log", "signal.pause()"))
    answers = iter([False, 0, 503, 200])
    changes: list[StageChange] = []
    ready = wait_ready(
        handle,
        log_path=handle.log_path,
        health=lambda: next(answers),
        on_stage=changes.append,
        deadline_s=30,
        poll_interval_s=0.01,
    )
    assert next(answers, "all asked") == "all asked"
    assert changes[0].stage is LaunchStage.STARTING
    assert changes[-1].stage is LaunchStage.READY
    assert ready.facts.max_running_requests == 32
    assert [stage for stage, _ in ready.stage_seconds][-1] is LaunchStage.READY


def test_a_server_that_logs_nothing_gets_ready_all_the_same(spawn_child: SpawnChild) -> None:
    handle = spawn_child("import signal; signal.pause()")
    clock = itertools.count(0.0, 1.0)
    ready = wait_ready(
        handle,
        log_path=handle.log_path,
        health=lambda: True,
        deadline_s=100,
        clock=lambda: next(clock),
        wait=lambda _: None,
    )
    assert [stage for stage, _ in ready.stage_seconds] == [LaunchStage.STARTING, LaunchStage.READY]


def test_a_child_that_ends_is_explained_with_its_last_lines(spawn_child: SpawnChild) -> None:
    end = "import os; print('key sk-secret-in-the-log'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    handle = spawn_child(replay("kv_cache_too_small.log", end))
    with pytest.raises(LaunchFailed, match="no room for the KV cache") as caught:
        wait_ready(handle, log_path=handle.log_path, health=lambda: False, deadline_s=30, poll_interval_s=0.01)
    assert caught.value.hint is not None and "--context" in caught.value.hint
    assert len(caught.value.log_tail) == 20
    assert caught.value.log_tail[-1] == "key ***"
    assert caught.value.log_path == str(handle.log_path)


def test_a_taken_port_fails_although_the_child_stays_and_the_stranger_there_answers(
    spawn_child: SpawnChild,
) -> None:
    handle = spawn_child(replay("port_in_use.log", "signal.pause()"))
    clock = itertools.count(0.0, 5.0)
    with pytest.raises(LaunchFailed, match="port 30000 was taken"):
        wait_ready(
            handle,
            log_path=handle.log_path,
            health=lambda: "address already in use" in handle.log_path.read_text(),
            deadline_s=100_000,
            poll_interval_s=0.01,
            clock=lambda: next(clock),
        )
    assert handle.identity.is_alive()


def test_the_deadline_names_the_stage_and_ends_nothing(spawn_child: SpawnChild) -> None:
    handle = spawn_child("import signal; print('Load weight begin. avail mem=1 GB', flush=True); signal.pause()")
    reached: list[LaunchStage] = []
    clock = iter([0.0] * 10_000)

    def now() -> float:
        return 901.0 if LaunchStage.LOADING_WEIGHTS in reached else next(clock)

    with pytest.raises(LaunchFailed, match=r"not ready after 900 s; it was at: Loading the weights"):
        wait_ready(
            handle,
            log_path=handle.log_path,
            health=lambda: False,
            on_stage=lambda change: reached.append(change.stage),
            deadline_s=900,
            poll_interval_s=0.01,
            clock=now,
        )
    assert handle.identity.is_alive()
    assert stop(handle).leftover_pids == ()
