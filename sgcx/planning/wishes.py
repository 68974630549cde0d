"""Checks what the user wishes, and turns it into what a layout must give."""

from __future__ import annotations

from sgcx.byte_sizes import GIB
from sgcx.errors import UserError
from sgcx.planning.architecture import MlaAttention
from sgcx.planning.calibration import CalibrationTable
from sgcx.planning.driver import Release, find_release
from sgcx.planning.host_cache import spare_memory_bytes
from sgcx.planning.layout import Demand
from sgcx.planning.plan import Wishes
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import HardwareSnapshot

_RUNNING_REQUESTS = {None: 16, "latency": 8, "throughput": 64}
_MOST_NODES = 16
_HIGHEST_PORT = 65535


def check_wishes(hardware: HardwareSnapshot, profile: Profile, wishes: Wishes) -> None:
    if wishes.context_length is not None and not 1 <= wishes.context_length <= profile.max_context_length:
        raise UserError(
            f"--context {wishes.context_length} is outside what {profile.name} can do",
            hint=f"1 to {profile.max_context_length:,} tokens",
        )
    if wishes.concurrency is not None and wishes.concurrency < 1:
        raise UserError(f"--concurrency must be at least 1, not {wishes.concurrency}")
    if wishes.sglang_version is not None:
        find_release(wishes.sglang_version)
    if profile.scripted:
        _check_scripted(profile, wishes)
        return
    _check_gpus(hardware, wishes)
    _check_host_cache(hardware, wishes)
    wanted_variants(profile, wishes)
    _check_division(profile, wishes)


def wanted_variants(profile: Profile, wishes: Wishes) -> tuple[HubCheckpoint, ...]:
    variants = tuple(each for each in profile.variants if wishes.variant in (None, each.variant))
    if not variants:
        known = ", ".join(each.variant for each in profile.variants)
        raise UserError(f"{profile.name} has no variant {wishes.variant!r}", hint=f"Variants: {known}")
    return variants


def demand_of(
    hardware: HardwareSnapshot, profile: Profile, wishes: Wishes, release: Release, calibrations: CalibrationTable
) -> Demand:
    return Demand(
        context_length=wishes.context_length or profile.max_context_length,
        context_is_fixed=wishes.context_length is not None,
        sessions=wishes.concurrency or 1,
        max_running_requests=wishes.concurrency or _RUNNING_REQUESTS[wishes.prefer],
        uses_all_gpus=wishes.gpus is not None,
        speculates=wishes.prefer == "latency",
        dp_size=wishes.dp_size,
        node_count=wishes.node_count,
        nodes_have_rdma=any(each.kind in ("infiniband", "roce") and each.is_up for each in hardware.network),
        sglang_version=release.version,
        calibrations=calibrations,
    )


def _check_scripted(profile: Profile, wishes: Wishes) -> None:
    if wishes.variant is not None:
        raise UserError(f"{profile.name} has no variants", hint="Leave out --variant")


def _check_gpus(hardware: HardwareSnapshot, wishes: Wishes) -> None:
    present = {gpu.index for gpu in hardware.gpus}
    absent = [str(index) for index in wishes.gpus or () if index not in present]
    if absent:
        known = ", ".join(str(index) for index in sorted(present)) or "none"
        raise UserError(f"No GPU has the index {', '.join(absent)}", hint=f"GPUs of this machine: {known}")


def _check_host_cache(hardware: HardwareSnapshot, wishes: Wishes) -> None:
    spare_bytes = spare_memory_bytes(hardware)
    if isinstance(wishes.host_cache_bytes, int) and wishes.host_cache_bytes > spare_bytes:
        raise UserError(
            f"--host-cache {wishes.host_cache_bytes // GIB} is more than this machine's memory can spare",
            hint=f"At most {spare_bytes // GIB}, or auto" if spare_bytes > 0 else "Leave it out",
        )


def _check_meeting_place(wishes: Wishes) -> None:
    if wishes.dist_init_addr is None:
        return
    if wishes.node_count == 1:
        raise UserError("--dist-init-addr is for several nodes", hint="Add --nodes N, or leave it out")
    host, _, port = wishes.dist_init_addr.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= _HIGHEST_PORT:
        raise UserError(
            f"--dist-init-addr {wishes.dist_init_addr!r} is no address with a port", hint="Write it as 10.0.0.1:20000"
        )


def _check_division(profile: Profile, wishes: Wishes) -> None:
    if not 1 <= wishes.node_count <= _MOST_NODES:
        raise UserError(f"--nodes must be from 1 to {_MOST_NODES}, not {wishes.node_count}")
    if wishes.dp_size < 1 or wishes.dp_size & (wishes.dp_size - 1):
        raise UserError(f"--dp must be a power of two, not {wishes.dp_size}")
    _check_meeting_place(wishes)
    latent = any(isinstance(each.architecture.attention, MlaAttention) for each in profile.variants)
    if wishes.dp_size > 1 and not latent:
        raise UserError(f"{profile.name} has no latent attention: --dp would only copy it", hint="Leave out --dp")
    if wishes.dp_size > 1 and wishes.node_count > 1:
        raise UserError("--dp and several nodes are not planned for together", hint="Leave out --dp or --nodes")
