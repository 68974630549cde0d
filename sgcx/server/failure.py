"""Why a launch failed, read from the child's last lines: cause, what it means, what to do. Pure.

SGLang's exit code says little (-9 whenever a worker raised), so the text decides and the code only fills in.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sgcx.server.redaction import redact


class FailureCause(StrEnum):
    PORT_IN_USE = "port_in_use"
    GPU_MEMORY_LOADING = "gpu_memory_loading"
    GPU_MEMORY_GRAPHS = "gpu_memory_graphs"
    GPU_MEMORY = "gpu_memory"
    KV_CACHE_TOO_SMALL = "kv_cache_too_small"
    GPU_MEMORY_UNBALANCED = "gpu_memory_unbalanced"
    HOST_MEMORY = "host_memory"
    DISK_FULL = "disk_full"
    DRIVER_TOO_OLD = "driver_too_old"
    CUDA_UNAVAILABLE = "cuda_unavailable"
    MISSING_LIBRARY = "missing_library"
    KERNELS_NOT_LOADABLE = "kernels_not_loadable"
    IMPORT_FAILED = "import_failed"
    ARGUMENTS_REFUSED = "arguments_refused"
    CONTEXT_TOO_LONG = "context_too_long"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_ACCESS_DENIED = "model_access_denied"
    NETWORK_UNREACHABLE = "network_unreachable"
    REMOTE_CODE_NOT_TRUSTED = "remote_code_not_trusted"
    CHECKPOINT_DAMAGED = "checkpoint_damaged"
    WATCHDOG_TIMEOUT = "watchdog_timeout"
    COMMUNICATION_FAILED = "communication_failed"
    GRAMMAR_ON_CPU = "grammar_on_cpu"
    KILLED_BY_SIGNAL = "killed_by_signal"
    REFUSED_BY_SGCX = "refused_by_sgcx"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    cause: FailureCause
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """`message` may use the pattern's named groups."""

    cause: FailureCause
    pattern: re.Pattern[str]
    message: str
    hint: str


def _rule(cause: FailureCause, pattern: str, message: str, hint: str) -> _Rule:
    return _Rule(cause, re.compile(pattern), message, hint)


# SGLang says these while all is well: optional models that cannot be imported, arguments echoed back.
_HARMLESS = re.compile(r"Ignore import error when loading|server_args=|UserWarning:|Prefill batch|Decode batch")
_GRAPHS = re.compile(r"Capture (?:\S+ )*[Cc][Uu][Dd][Aa] graph (?:begin|failed)")
_GRAPHS_DONE = re.compile(r"Capture (?:\S+ )*[Cc][Uu][Dd][Aa] graph end")
_LOADED = re.compile(r"Load weight end")
_OUT_OF_MEMORY = re.compile(
    r"CUDA out of memory(?:\. Tried to allocate (?P<wanted>[\d.]+ [KMG]iB))?"
    r"|CUDA error: out of memory|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
)
_KILLED_WORKER = re.compile(r"Subprocess (?P<name>\S+) \(pid=\d+\) crashed with exit code -(?P<number>\d+)")
_WORKER_RAISED = "hit an exception"
_LIBRARY_HINTS = {
    "libnuma": "install it: `apt install libnuma1` or `dnf install numactl-libs`",
    "libcuda": "install the NVIDIA driver, or give the container access to the GPUs (`--gpus all`)",
    "libnvrtc": "repair the engine with `sgcx engine repair`: its CUDA libraries are incomplete",
}

# The first rule that matches wins: the specific before the general, the cause before what it leads to.
_RULES = (
    _rule(
        FailureCause.PORT_IN_USE,
        r"bind on address \('[^']*', (?P<port>\d+).*address already in use",
        "the port {port} was taken by another process while the server started",
        "stop that process or choose another port with `--port`",
    ),
    _rule(
        FailureCause.PORT_IN_USE,
        r"[Aa]ddress already in use|Port is already in use|_port at \d+ is not available",
        "a port that SGLang uses internally was taken by another process",
        "run `sgcx up` again, or choose another port with `--port`",
    ),
    _rule(
        FailureCause.KV_CACHE_TOO_SMALL,
        r"Not enough memory\. Please try to increase --mem-fraction-static",
        "the weights leave no room for the KV cache within mem_fraction_static",
        "free GPU memory, give it more GPUs with `--gpus`, or ask for less with `--context` and `--concurrency`",
    ),
    _rule(
        FailureCause.GPU_MEMORY_UNBALANCED,
        r"memory capacity is unbalanced",
        "the GPUs have unequal free memory: other processes use some of them",
        "end those processes (`nvidia-smi` lists them) or choose other GPUs",
    ),
    _rule(
        FailureCause.DISK_FULL,
        r"No space left on device|\[Errno 28\]|Not enough free disk space",
        "the disk is full",
        "free space where the model cache and the engine live, or move them with `HF_HOME` and `SGCX_HOME`",
    ),
    _rule(
        FailureCause.HOST_MEMORY,
        r"scheduler died during initialization \(exit code: -9\)|DefaultCPUAllocator: (?:can't|not enough)"
        r"|Cannot allocate memory|[Oo]ut of memory: Killed process",
        "the machine ran out of main memory: the operating system killed a worker",
        "free memory or raise the container's limit; `dmesg -T | grep -i oom` shows the kernel's record",
    ),
    _rule(
        FailureCause.DRIVER_TOO_OLD,
        r"driver (?:on your system )?is too old|CUDA driver version is insufficient"
        r"|cudaErrorInsufficientDriver|unsupported display driver / cuda driver combination"
        r"|the provided PTX was compiled with an unsupported toolchain",
        "the NVIDIA driver is too old for this engine's CUDA",
        "update the NVIDIA driver; `sgcx doctor` shows which one this engine needs",
    ),
    _rule(
        FailureCause.KERNELS_NOT_LOADABLE,
        r"ImportError:.*(?:sgl_kernel|common_ops)|\[sgl_kernel\] CRITICAL|Failed to load sgl_kernel"
        r"|No module named '(?:sgl_kernel|sglang_kernel)",
        "SGLang's GPU kernels (sgl_kernel) cannot be loaded",
        "repair the engine with `sgcx engine repair`: its packages do not fit each other or this GPU",
    ),
    _rule(
        FailureCause.MISSING_LIBRARY,
        r"(?P<library>lib[\w+.-]+\.so[\d.]*): cannot open shared object file",
        "the system library {library} is missing",
        "install the package that provides it",
    ),
    _rule(
        FailureCause.CUDA_UNAVAILABLE,
        r"Found no NVIDIA driver|No CUDA GPUs are available|CUDA unknown error|cudaErrorNoDevice"
        r"|no CUDA-capable device|system not yet initialized|cudaErrorSystemNotReady"
        r"|CUDA driver initialization failed|No accelerator .* is available",
        "CUDA finds no usable GPU",
        "check `nvidia-smi`, the container's GPU access, and on NVSwitch machines the fabric manager",
    ),
    _rule(
        FailureCause.GRAMMAR_ON_CPU,
        r"Unsupported device: cpu",
        "the grammar backend cannot run on the CPU in this SGLang",
        "start it without `--without-patch cpu-grammar`",
    ),
    _rule(
        FailureCause.CONTEXT_TOO_LONG,
        r"ValueError: .*User-specified context_length \((?P<wanted>\d+)\) is greater than the derived context_length"
        r" \((?P<limit>\d+)\)",
        "context_length {wanted} is more than the {limit} tokens that the model allows",
        "ask for less with `--context`",
    ),
    _rule(
        FailureCause.REMOTE_CODE_NOT_TRUSTED,
        r"trust_remote_code=True|requires you to execute the configuration file|contains custom code which",
        "the model brings its own Python code, which SGLang was not allowed to run",
        "if you trust the publisher, set `trust_remote_code = true` in the profile",
    ),
    _rule(
        FailureCause.MODEL_ACCESS_DENIED,
        r"GatedRepoError|gated repo|401 Client Error|403 Client Error|Access to model .* is restricted"
        r"|Invalid (?:username or password|user token)",
        "the model hub refuses access to the model",
        "accept the model's licence on the hub, then log in with `hf auth login` or set `HF_TOKEN`",
    ),
    _rule(
        FailureCause.MODEL_NOT_FOUND,
        r"RepositoryNotFoundError|404 Client Error|Repo id must be in the form"
        r"|is not a local folder and is not a valid model identifier"
        r"|Cannot find any model weights|does not appear to have a file named|no file named config\.json",
        "there is no such model: neither a complete folder on this machine nor a repository on the hub",
        "check `source.repository` in the profile, and that its download is complete",
    ),
    _rule(
        FailureCause.NETWORK_UNREACHABLE,
        r"couldn't connect to 'https?://|LocalEntryNotFoundError|OfflineModeIsEnabled"
        r"|Name or service not known|Temporary failure in name resolution|Network is unreachable"
        r"|Max retries exceeded|ConnectTimeout",
        "the model is not on this machine and the model hub cannot be reached",
        "check the network and proxy, unset HF_HUB_OFFLINE, or point `model_path` to a local folder",
    ),
    _rule(
        FailureCause.CHECKPOINT_DAMAGED,
        r"SafetensorError|Error while deserializing header|MetadataIncompleteBuffer|invalid header length"
        r"|PytorchStreamReader failed|size mismatch for",
        "a weight file of the model is damaged or incomplete",
        "delete the damaged file from the model's folder and download it again",
    ),
    _rule(
        FailureCause.WATCHDOG_TIMEOUT,
        r"watchdog timeout \((?!.*soft=True)|TCPStore.*timed? ?out|monitoredBarrier"
        r"|ranks? .*(?:failed to pass|timed out)",
        "the engine made no progress for longer than its watchdog allows",
        "start it again: the weights may be in memory now; if it happens again, the log says where it stood",
    ),
    _rule(
        FailureCause.COMMUNICATION_FAILED,
        r"NCCL error|ncclUnhandled|ncclSystemError|ncclInternalError|ncclInvalidUsage|ProcessGroupNCCL.*[Tt]imeout"
        r"|DistBackendError|custom_all_reduce.*(?:failed|error)",
        "the GPUs cannot talk to each other (NCCL)",
        "check /dev/shm (16 GiB or more) and peer access; `NCCL_DEBUG=INFO` says more, "
        "`NCCL_P2P_DISABLE=1` helps where the IOMMU is in the way",
    ),
    _rule(
        FailureCause.ARGUMENTS_REFUSED,
        r"(?:^|\s)error: (?P<detail>(?:unrecognized arguments|argument |the following arguments|invalid ).*)",
        "SGLang refuses its arguments: {detail}",
        "the profile asks for something that this SGLang version does not have; `sgcx up --dry-run` shows all",
    ),
    _rule(
        FailureCause.IMPORT_FAILED,
        r"(?P<detail>(?:ModuleNotFoundError|ImportError): .*)",
        "the engine's environment is incomplete: {detail}",
        "repair it with `sgcx engine repair`",
    ),
)

# What a server never recovers from, although its process may stay: SGLang whose port is taken just sits there.
_FATAL = re.compile(
    r"Scheduler hit an exception|Received sigquit from a child process|error while attempting to bind on address"
    r"|died during initialization|DataParallelController hit an exception|Triggering SIGQUIT"
)


def is_fatal(line: str) -> bool:
    return _FATAL.search(line) is not None


def classify(lines: Sequence[str], exit_code: int | None) -> Failure:
    """`lines` are the last of the log, oldest first; `exit_code` as subprocess has it, None if unknown."""
    telling = [line for line in lines if _HARMLESS.search(line) is None]
    refusal = _own_refusal(telling)
    if refusal is not None:
        return refusal
    memory = _out_of_gpu_memory(telling)
    if memory is not None:
        return memory
    for rule in _RULES:
        for line in reversed(telling):
            match = rule.pattern.search(line)
            if match is not None:
                return _explain(rule, match)
    return _from_exit_code(telling, exit_code)


def _own_refusal(lines: Sequence[str]) -> Failure | None:
    """What our own part of the child said before it gave up: `sgcx: message`, the hint on the next line."""
    for index in reversed(range(len(lines))):
        if lines[index].startswith("sgcx: "):
            message = redact(lines[index].removeprefix("sgcx: "))
            hint = lines[index + 1] if index + 1 < len(lines) else "the log has the details"
            return Failure(FailureCause.REFUSED_BY_SGCX, message, hint)
    return None


def _explain(rule: _Rule, match: re.Match[str]) -> Failure:
    found = {name: redact(value) for name, value in match.groupdict().items() if value}
    hint = next((text for name, text in _LIBRARY_HINTS.items() if found.get("library", "").startswith(name)), rule.hint)
    return Failure(rule.cause, rule.message.format(**found), hint)


def _out_of_gpu_memory(lines: Sequence[str]) -> Failure | None:
    """The same error has another cure in each stage, so what came before it counts."""
    where = next((index for index, line in enumerate(lines) if _OUT_OF_MEMORY.search(line)), None)
    if where is None:
        return None
    before = lines[: where + 1]
    match = _OUT_OF_MEMORY.search(lines[where])
    wanted = match["wanted"] if match is not None else None
    missing = f" ({wanted} more were wanted)" if wanted else ""
    capturing = _last(_GRAPHS, before)
    if any("Capture cuda graph failed" in line for line in lines) or capturing > _last(_GRAPHS_DONE, before):
        return Failure(
            FailureCause.GPU_MEMORY_GRAPHS,
            f"the GPU ran out of memory while CUDA graphs were captured{missing}",
            "end other processes on the GPU, or ask for less with `--concurrency`",
        )
    if _last(_LOADED, before) < 0:
        return Failure(
            FailureCause.GPU_MEMORY_LOADING,
            f"the weights do not fit on the GPUs{missing}",
            "use more GPUs or a smaller or quantized model, and end other processes on the GPU",
        )
    return Failure(
        FailureCause.GPU_MEMORY,
        f"the GPU ran out of memory{missing}",
        "end other processes on the GPU, or ask for less with `--context` and `--concurrency`",
    )


def _last(pattern: re.Pattern[str], lines: Sequence[str]) -> int:
    return max((index for index, line in enumerate(lines) if pattern.search(line)), default=-1)


def _from_exit_code(lines: Sequence[str], exit_code: int | None) -> Failure:
    killed = next(filter(None, map(_KILLED_WORKER.search, reversed(lines))), None)
    # A worker that raised may be killed for it; what another raised long before is no reason for this.
    if killed is not None and not any(_WORKER_RAISED in line for line in lines):
        return _killed(f"the engine's process {killed['name']}", int(killed["number"]))
    raised = next((line for line in reversed(lines) if re.match(r"(?:\w+\.)*\w*(?:Error|Exception): ", line)), None)
    see_log = "the log has the details; `sgcx doctor` checks this machine"
    if raised is not None:
        return Failure(FailureCause.UNKNOWN, f"the engine failed: {redact(raised)[:300]}", see_log)
    if exit_code == 2:
        return Failure(FailureCause.ARGUMENTS_REFUSED, "the child refused its arguments (exit code 2)", see_log)
    if exit_code is not None and exit_code < 0:
        return _killed("the child", -exit_code)
    ended = "ended" if exit_code is None else f"ended with exit code {exit_code}"
    return Failure(FailureCause.UNKNOWN, f"the engine {ended} without saying why", see_log)


def _killed(what: str, number: int) -> Failure:
    return Failure(
        FailureCause.KILLED_BY_SIGNAL,
        f"{what} was ended by {_signal_name(number)}",
        "if nobody did that on purpose, the kernel may have: `dmesg -T | grep -i -e oom -e segfault`",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
