"""What the kernel's files say about a machine, from files as kernels write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sgcx.hardware.file_systems import read_file_system
from sgcx.hardware.measurement import Measurement
from sgcx.hardware.memory_limit import cgroup_version, memory_limit_bytes
from sgcx.hardware.network import read_network
from sgcx.hardware.operating_system import read_limits, read_system, read_xid_errors
from sgcx.hardware.processor import read_cpu, read_cpu_model, read_numa_nodes, read_pci_numa_node
from sgcx.planning.gpu_facts import XidError
from sgcx.planning.host_facts import NetworkAdapter, NumaNode
from sgcx.planning.snapshot import Missing

GIB = 1 << 30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_processor_of_two_sockets_with_amx(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n"
            "flags\t\t: fpu sse avx2 avx512f avx512bw amx_bf16 avx512_bf16 amx_tile amx_int8 md_clear\n",
            "sys/devices/system/cpu/cpu0/topology/physical_package_id": "0\n",
            "sys/devices/system/cpu/cpu1/topology/physical_package_id": "1\n",
            "sys/devices/system/cpu/cpu10/topology/physical_package_id": "1\n",
            "sys/devices/system/cpu/cpufreq/policy0": "",
        },
    )
    cpu = read_cpu(root)

    assert read_cpu_model(root) == "Intel(R) Xeon(R) Platinum 8480+"
    assert cpu.sockets == 2
    assert cpu.flags == ("avx2", "avx512f", "avx512bw", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")


def test_an_arm_processor_calls_its_flags_features(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd sve i8mm bf16\nCPU part\t: 0xd4f\n"})

    assert read_cpu(root).flags == ("asimd", "sve", "i8mm", "bf16")
    assert read_cpu(root).sockets is None


def test_numa_nodes_with_their_processors_and_memory(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "sys/devices/system/node/node1/cpulist": "48-95,144-191\n",
            "sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       1056763904 kB\nNode 1 MemFree: 3 kB\n",
            "sys/devices/system/node/node0/cpulist": "0-47,96-143\n",
            "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       1056000000 kB\n",
            "sys/devices/system/node/possible": "0-1\n",
        },
    )
    assert read_numa_nodes(root) == (
        NumaNode(0, "0-47,96-143", 1056000000 * 1024),
        NumaNode(1, "48-95,144-191", 1056763904 * 1024),
    )


@pytest.mark.parametrize(("written", "node"), [("1\n", 1), ("-1\n", None)])
def test_the_numa_node_of_a_gpu(tmp_path: Path, written: str, node: int | None) -> None:
    root = write(tmp_path, {"sys/bus/pci/devices/0000:3b:00.0/numa_node": written})

    assert read_pci_numa_node("00000000:3B:00.0", root) == node


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    place = tmp_path.resolve() / "weights" / "not" / "made"
    root = write(
        tmp_path / "root",
        {
            "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
            f"23 22 0:40 / {tmp_path.resolve()} rw shared:1 - nfs4 server:/export rw\n"
            f"24 22 0:41 / {tmp_path.resolve()}x rw - xfs /dev/sdb rw\n"
        },
    )
    found = read_file_system("weights", place, root=root)

    assert (found.purpose, found.kind, found.rotational, found.writable) == ("weights", "nfs4", None, True)
    assert 0 < found.free_bytes <= found.total_bytes


@pytest.mark.parametrize("of_a_partition", [False, True])
def test_a_disk_with_moving_parts_is_told(tmp_path: Path, of_a_partition: bool) -> None:
    device = tmp_path.stat().st_dev
    queue = "sys/block/sda/queue/rotational"
    root = write(tmp_path / "root", {"proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", queue: "1\n"})
    disk = root / "sys/block/sda"
    if of_a_partition:
        (disk / "sda1").mkdir()
        disk = disk / "sda1"
    link = root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(disk)

    assert read_file_system("data", tmp_path, root=root).rotational is True


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({}, None),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({".dockerenv": "", "var/run/secrets/kubernetes.io/token": "secret"}, "kubernetes"),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "other"),
    ],
)
def test_a_container_is_recognized(tmp_path: Path, files: dict[str, str], container: str | None) -> None:
    assert read_system(write(tmp_path, files)).container == container


def test_the_system_is_described_without_its_name(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.2 LTS"\n',
            "etc/hostname": "cluster-node-17\n",
            "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=ab intel_iommu=on iommu=pt quiet\n",
            "usr/bin/nv-fabricmanager": "",
        },
    )
    system = read_system(root)

    assert system.distribution == "Ubuntu 24.04.2 LTS"
    assert system.iommu == "intel_iommu=on iommu=pt"
    assert system.fabric_manager == "inactive"
    assert system.kernel
    assert "cluster-node-17" not in str(system)


def test_network_adapters_that_could_join_machines(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "sys/class/net/lo/type": "772\n",
            "sys/class/net/docker0/type": "1\n",
            "sys/class/net/eth0/type": "1\n",
            "sys/class/net/eth0/device/vendor": "",
            "sys/class/net/eth0/speed": "100000\n",
            "sys/class/net/eth0/operstate": "up\n",
            "sys/class/net/eth1/type": "1\n",
            "sys/class/net/eth1/device/vendor": "",
            "sys/class/net/eth1/speed": "-1\n",
            "sys/class/infiniband/mlx5_0/ports/1/link_layer": "InfiniBand\n",
            "sys/class/infiniband/mlx5_0/ports/1/rate": "400 Gb/sec (4X NDR)\n",
            "sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n",
            "sys/class/infiniband/mlx5_1/ports/2/link_layer": "Ethernet\n",
            "sys/class/infiniband/mlx5_1/ports/2/rate": "2.5 Gb/sec (1X SDR)\n",
            "sys/class/infiniband/mlx5_1/ports/2/state": "1: DOWN\n",
        },
    )
    assert read_network(root) == (
        NetworkAdapter("mlx5_0", "infiniband", 400_000, True),
        NetworkAdapter("mlx5_1:2", "roce", 2_500, False),
        NetworkAdapter("eth0", "ethernet", 100_000, True),
        NetworkAdapter("eth1", "ethernet", None, False),
    )


def test_errors_of_the_driver_are_counted_from_the_kernels_log(tmp_path: Path) -> None:
    log = (
        "4,1,2,-;NVRM: Xid (PCI:0000:3B:00): 79, pid=1234, GPU has fallen off the bus.\n"
        "4,2,3,-;usb 1-1: new device\n"
        "4,3,4,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n"
        "4,4,5,-;NVRM: Xid (PCI:0000:86:00): 94, Contained: SM (0x1)\n"
    )
    root = write(tmp_path, {"dev/kmsg": log})

    assert read_xid_errors(root) == (XidError("0000:3b:00", 79, 2), XidError("0000:86:00", 94, 1))


def test_a_version_of_control_groups(tmp_path: Path) -> None:
    assert cgroup_version(tmp_path) is None
    (tmp_path / "memory").mkdir()
    assert cgroup_version(tmp_path) == 1
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert cgroup_version(tmp_path) == 2


def test_limits_are_this_processes_own() -> None:
    limits = read_limits()

    assert limits.open_files == "unlimited" or isinstance(limits.open_files, int)
    assert limits.locked_memory_bytes is not None


def test_what_cannot_be_measured_is_missing_with_its_reason(tmp_path: Path) -> None:
    measurement = Measurement()

    assert measurement.optional("numa_nodes", lambda: read_numa_nodes(tmp_path)) is None
    assert measurement.optional("swap", lambda: 3) == 3
    assert measurement.missing == (Missing("numa_nodes", "No such file or directory"),)


def test_the_memory_limit_is_the_least_above_this_process(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    assert memory_limit_bytes(tmp_path, own) is None
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text(f"{8 * GIB}\n")
    assert memory_limit_bytes(tmp_path, own) == 8 * GIB


def test_the_memory_limit_of_a_version_1_control_group(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:memory:/job\n4:cpu:/\n")
    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text(f"{4 * GIB}\n")
    assert memory_limit_bytes(tmp_path, own) == 4 * GIB
