"""Doctor on how GPUs, and machines, reach each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_machines import recorded_machine

from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status
from sgcx.workflows.checks.links import check_links, check_variables


def links(machine: HardwareSnapshot) -> dict[str, Check]:
    return {check.title: check for check in check_links(machine)}


def test_gpus_that_are_all_joined() -> None:
    assert links(recorded_machine("8xH200"))["NVLink"].found == "all GPUs, 18 links"
    assert links(recorded_machine("1xH200"))["GPUs"].status is Status.SKIP


def test_a_link_that_is_down_is_told() -> None:
    machine = recorded_machine("8xH200")
    weak = replace(machine.gpu_links[0], nvlink_count=16)
    check = links(replace(machine, gpu_links=(weak, *machine.gpu_links[1:])))["NVLink"]
    assert (check.status, check.found) == (Status.WARN, "GPUs 0-1 have 16 links, others 18")


def test_joined_cards_and_cards_without_direct_access() -> None:
    assert links(recorded_machine("2xRTX_3090_nvlink"))["NVLink"].found == "all GPUs, 4 links"
    cards = links(recorded_machine("2xRTX_4090"))
    assert cards["NVLink"].found == "none: the GPUs meet over PCIe"
    assert (cards["peer access"].status, cards["peer access"].found) == (
        Status.WARN,
        "no direct access between GPUs 0-1",
    )


@pytest.mark.parametrize(
    ("iommu", "status"),
    [
        (None, Status.OK),
        ("iommu=pt", Status.OK),
        ("intel_iommu=on iommu=pt", Status.OK),
        ("intel_iommu=on", Status.WARN),
        ("amd_iommu=on", Status.WARN),
    ],
)
def test_an_iommu_between_gpus_on_pcie_is_told(iommu: str | None, status: Status) -> None:
    machine = recorded_machine("8xL40S")
    check = links(replace(machine, system=replace(machine.system, iommu=iommu)))["IOMMU"]
    assert check.status is status
    assert (check.mend is not None) == (status is Status.WARN)


def test_an_iommu_does_not_matter_to_gpus_with_nvlink() -> None:
    machine = recorded_machine("8xH200")
    assert "IOMMU" not in links(replace(machine, system=replace(machine.system, iommu="intel_iommu=on")))


def test_variables_that_change_what_cuda_sees_are_told() -> None:
    def variables(**environ: str) -> list[Check]:
        return [*check_variables(environ, ["ib0", "eth0"], has_gpus=True)]

    assert variables() == []
    assert variables(NCCL_SOCKET_IFNAME="ib", GLOO_SOCKET_IFNAME="^docker0,lo") == []
    (hidden,) = variables(CUDA_VISIBLE_DEVICES="0,1")
    assert (hidden.status, hidden.found) == (Status.WARN, "CUDA_VISIBLE_DEVICES=0,1")
    (wrong,) = variables(NCCL_SOCKET_IFNAME="=bond0,eth0")
    assert (wrong.status, wrong.found) == (Status.FAIL, "NCCL_SOCKET_IFNAME names bond0, which is not there")
    assert wrong.mend == "export NCCL_SOCKET_IFNAME=NAME   (there are: eth0, ib0)"
