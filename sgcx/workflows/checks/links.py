"""Doctor on how GPUs, and machines, reach each other. Pure functions over a snapshot and the environment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sgcx.planning.gpu_facts import GpuLink
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status

LINKS = "Links"
_INTERFACE_VARIABLES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")


def check_links(hardware: HardwareSnapshot) -> Iterator[Check]:
    if len(hardware.gpus) < 2:
        yield Check(LINKS, "GPUs", Status.SKIP, "fewer than two GPUs")
        return
    yield _check_nvlink(hardware.gpu_links)
    over_pcie = [link for link in hardware.gpu_links if link.kind != "nvlink"]
    refused = [link for link in over_pcie if link.peer_access not in (None, "ok")]
    if refused:
        why = "Tensor parallelism sends what they exchange through main memory, which costs speed"
        mend = "GeForce drivers allow it only over NVLink; elsewhere see ACS and IOMMU in the firmware's settings"
        found = f"no direct access between {_pairs(refused)}"
        yield Check(LINKS, "peer access", Status.WARN, found, why, mend)
    elif over_pcie:
        yield _check_iommu(hardware.system.iommu)


def _check_nvlink(links: tuple[GpuLink, ...]) -> Check:
    nvlinks = [link for link in links if link.kind == "nvlink"]
    if not links:
        return Check(LINKS, "NVLink", Status.SKIP, "the driver does not tell how the GPUs are joined")
    if not nvlinks:
        why = "Tensor parallelism over PCIe decodes slower; plans expect that"
        return Check(LINKS, "NVLink", Status.OK, "none: the GPUs meet over PCIe", why)
    counts = {link.nvlink_count or 0 for link in nvlinks}
    if len(counts) > 1:
        weak = [link for link in nvlinks if (link.nvlink_count or 0) < max(counts)]
        found = f"{_pairs(weak)} have {min(counts)} links, others {max(counts)}"
        why = "A link that is down slows all GPUs that share a model"
        mend = "`nvidia-smi nvlink -s` names it; restart the machine, then have the board checked"
        return Check(LINKS, "NVLink", Status.WARN, found, why, mend)
    joined = "all GPUs" if len(nvlinks) == len(links) else _pairs(nvlinks)
    return Check(LINKS, "NVLink", Status.OK, f"{joined}, {counts.pop()} links")


def _check_iommu(iommu: str | None) -> Check:
    settings = (iommu or "").split()
    translating = any(word.endswith("iommu=on") for word in settings) and "iommu=pt" not in settings
    if not translating:
        return Check(LINKS, "IOMMU", Status.OK, iommu or "the kernel's command line does not switch it on")
    why = "Transfers between GPUs over PCIe can hang, or give wrong results, while it translates addresses"
    mend = "Add iommu=pt to the kernel's command line and restart; until then: export NCCL_P2P_DISABLE=1"
    return Check(LINKS, "IOMMU", Status.WARN, iommu or "", why, mend)


def check_variables(environ: Mapping[str, str], interfaces: Collection[str], *, has_gpus: bool) -> Iterator[Check]:
    """Variables that change which GPUs and which network CUDA and NCCL use."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and has_gpus:
        why = "`sgcx up` chooses GPUs itself (--gpus) and sets this for its server; programs beside it see fewer"
        found = f"CUDA_VISIBLE_DEVICES={visible}"
        yield Check(LINKS, "visible GPUs", Status.WARN, found, why, "unset CUDA_VISIBLE_DEVICES, and say --gpus")
    for variable in _INTERFACE_VARIABLES:
        wanted = _wanted(environ.get(variable, ""))
        absent = [name for name in wanted if not any(present.startswith(name) for present in interfaces)]
        if absent:
            found = f"{variable} names {', '.join(absent)}, which is not there"
            why = "GPUs that share a model across machines would wait for each other for ever"
            mend = f"export {variable}=NAME   (there are: {', '.join(sorted(interfaces))})"
            yield Check(LINKS, variable, Status.FAIL, found, why, mend)


def _wanted(value: str) -> list[str]:
    """The beginnings of names that it allows; one with `^` in front only excludes."""
    return [] if value.startswith("^") else [name for name in value.strip("=").split(",") if name]


def _pairs(links: list[GpuLink]) -> str:
    return "GPUs " + ", ".join(f"{link.first}-{link.second}" for link in links)
