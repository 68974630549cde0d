from __future__ import annotations

from pathlib import Path

import pytest

from sgcx.server.failure import FailureCause, classify, is_fatal
from sgcx.server.log_reading import LineSplitter
from sgcx.server.redaction import redact

LOGS = Path(__file__).parent / "logs"


def recorded(name: str) -> list[str]:
    splitter = LineSplitter()
    return splitter.feed((LOGS / f"{name}.log").read_bytes()) + splitter.finish()


@pytest.mark.parametrize(
    "cause",
    [
        FailureCause.ARGUMENTS_REFUSED,
        FailureCause.CHECKPOINT_DAMAGED,
        FailureCause.KV_CACHE_TOO_SMALL,
        FailureCause.MODEL_NOT_FOUND,
        FailureCause.NETWORK_UNREACHABLE,
        FailureCause.PORT_IN_USE,
    ],
)
def test_a_recorded_failure_of_the_real_engine_is_recognised(cause: FailureCause) -> None:
    assert classify(recorded(cause), -9).cause is cause


LOADED = "[2026-01-01 00:00:00 TP0] Load weight end. elapsed=60.1 s, mem usage=70.60 GB."
CAPTURING = "[2026-01-01 00:00:00 TP0] Capture cuda graph begin. This can take up to several minutes."
CAPTURED = "[2026-01-01 00:00:00 TP0] Capture cuda graph end. Time elapsed: 9.1 s."
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of"


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([OOM], FailureCause.GPU_MEMORY_LOADING),
        ([LOADED, CAPTURING, OOM], FailureCause.GPU_MEMORY_GRAPHS),
        ([LOADED, f"Exception: Capture cuda graph failed: {OOM}"], FailureCause.GPU_MEMORY_GRAPHS),
        ([LOADED, CAPTURING, CAPTURED, OOM], FailureCause.GPU_MEMORY),
        (
            ["ValueError: The memory capacity is unbalanced. Some GPUs may be occupied by other processes."],
            FailureCause.GPU_MEMORY_UNBALANCED,
        ),
        (
            ["RuntimeError: Rank 0 scheduler died during initialization (exit code: -9). If exit code is -9"],
            FailureCause.HOST_MEMORY,
        ),
        (["OSError: [Errno 28] No space left on device"], FailureCause.DISK_FULL),
        (
            ["RuntimeError: The NVIDIA driver on your system is too old (found version 11040)."],
            FailureCause.DRIVER_TOO_OLD,
        ),
        (["RuntimeError: No CUDA GPUs are available"], FailureCause.CUDA_UNAVAILABLE),
        (
            ["RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu."],
            FailureCause.CUDA_UNAVAILABLE,
        ),
        (["Error 802: system not yet initialized"], FailureCause.CUDA_UNAVAILABLE),
        (
            ["ImportError: libnuma.so.1: cannot open shared object file: No such file or directory"],
            FailureCause.MISSING_LIBRARY,
        ),
        (
            ["ImportError: [sgl_kernel] CRITICAL: Could not load any common_ops library!"],
            FailureCause.KERNELS_NOT_LOADABLE,
        ),
        (
            ["serve: error: argument --tp-size: invalid int value: 'x'"],
            FailureCause.ARGUMENTS_REFUSED,
        ),
        (
            ["ValueError: Warning: User-specified context_length (9) is greater than the derived context_length (4)."],
            FailureCause.CONTEXT_TOO_LONG,
        ),
        (
            ["ValueError: The repository m contains custom code which must be executed to load the model."],
            FailureCause.REMOTE_CODE_NOT_TRUSTED,
        ),
        (
            ["huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo"],
            FailureCause.MODEL_ACCESS_DENIED,
        ),
        (["Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)"], FailureCause.WATCHDOG_TIMEOUT),
        (
            ["torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:77, unhandled system error"],
            FailureCause.COMMUNICATION_FAILED,
        ),
        (["RuntimeError: Unsupported device: cpu"], FailureCause.GRAMMAR_ON_CPU),
        (["ModuleNotFoundError: No module named 'xgrammar'"], FailureCause.IMPORT_FAILED),
        ([], FailureCause.KILLED_BY_SIGNAL),
    ],
)
def test_each_cause_is_recognised_and_comes_with_a_hint(lines: list[str], cause: FailureCause) -> None:
    failure = classify(lines, -9)
    assert failure.cause is cause
    assert failure.hint
    assert "{" not in failure.message and not failure.message.endswith(".")


def test_messages_name_the_thing_at_fault() -> None:
    assert "30000" in classify(recorded("port_in_use"), None).message
    assert "--no-such-flag" in classify(recorded("arguments_refused"), 2).message
    assert "2.50 GiB" in classify([OOM], -9).message
    library = classify(["OSError: libnvrtc.so.12: cannot open shared object file"], 1)
    assert "libnvrtc.so.12" in library.message
    assert "sgcx engine repair" in library.hint


def test_what_a_healthy_server_logs_is_no_failure() -> None:
    assert classify(recorded("ready"), -9).cause is FailureCause.KILLED_BY_SIGNAL
    assert not any(is_fatal(line) for line in recorded("ready"))
    soft = "Scheduler watchdog timeout (self.watchdog_timeout=30, self.soft=True)"
    assert classify([soft], 1).cause is FailureCause.UNKNOWN


def test_an_unknown_failure_says_what_was_raised_last_or_how_it_ended() -> None:
    assert "KeyError: 'x'" in classify(["a line", "KeyError: 'x'"], -9).message
    assert "exit code 7" in classify(["a line"], 7).message
    assert "SIGSEGV" in classify([], -11).message
    assert "signal 40" in classify([], -40).message
    assert classify([], None).cause is FailureCause.UNKNOWN


def test_a_worker_that_was_killed_is_the_reason_and_not_what_was_survived_before() -> None:
    survived = ["OSError: responses.sqlite3: database or disk is full", "GET /health HTTP/1.1 200 OK"]
    killed = "Subprocess scheduler_0 (pid=71) crashed with exit code -9. Triggering SIGQUIT for cleanup..."
    failure = classify([*survived, killed], None)
    assert failure.message == "the engine's process scheduler_0 was ended by SIGKILL"
    assert failure.cause is FailureCause.KILLED_BY_SIGNAL
    raised = ["Scheduler hit an exception: Traceback (most recent call last):", "KeyError: 'x'"]
    assert "KeyError: 'x'" in classify([*raised, killed], None).message


def test_a_refusal_of_our_own_is_passed_on_with_its_hint() -> None:
    failure = classify(["sgcx: The endpoint is not mounted", "Run `sgcx patch apply`"], 1)
    assert failure.message == "The endpoint is not mounted"
    assert failure.hint == "Run `sgcx patch apply`"


@pytest.mark.parametrize(
    "line",
    [
        "ServerArgs(api_key='SECRET123', admin_api_key=None)",
        "ServerArgs(admin_api_key='SECRET123')",
        "--api-key SECRET123 --port 1",
        "--api-key=SECRET123",
        '{"api_key": "SECRET123"}',
        "Authorization: Bearer SECRET123",
        "token hf_SECRET123abcdef",
        "key sk-SECRET123abcdef",
        "HF_TOKEN=SECRET123",
        "proxy http://me:SECRET123@proxy:3128/",
    ],
)
def test_secrets_are_taken_out_of_lines(line: str) -> None:
    assert "SECRET123" not in redact(line)
    assert "***" in redact(line)


def test_lines_without_secrets_stay_as_they_are() -> None:
    for line in ["api_key=None, host='127.0.0.1'", "#tokens: 32768", "http://127.0.0.1:30000/v1", "a sk-y line"]:
        assert redact(line) == line
