"""The recorded machines could exist: nothing in them contradicts itself."""

from __future__ import annotations

import json
import re

import pytest
from recorded_machines import MACHINE_NAMES, machine_file, recorded_machine

from sgcx.planning.machines import known_machines


def test_there_are_machines_of_every_kind() -> None:
    machines = [recorded_machine(name) for name in MACHINE_NAMES]

    assert len(machines) >= 24
    assert {len(machine.gpus) for machine in machines} >= {0, 1, 2, 3, 4, 8}
    assert {machine.architecture for machine in machines} == {"x86_64", "aarch64"}
    assert {gpu.compute_capability[0] for machine in machines for gpu in machine.gpus} >= {7, 8, 9, 10, 12}


@pytest.mark.parametrize("name", MACHINE_NAMES)
def test_a_machine_agrees_with_itself(name: str) -> None:
    machine = recorded_machine(name)
    indices = [gpu.index for gpu in machine.gpus]

    assert json.loads(machine_file(name).read_text())["source"]
    assert indices == sorted(set(indices))
    assert len({gpu.uuid for gpu in machine.gpus}) == len(indices)
    assert all(gpu.reserved_bytes + gpu.used_bytes < gpu.total_bytes for gpu in machine.gpus)
    assert all(link.first < link.second and {link.first, link.second} <= set(indices) for link in machine.gpu_links)
    nodes = {node.index for node in machine.numa_nodes}
    assert all(gpu.numa_node is None or gpu.numa_node in nodes for gpu in machine.gpus)
    assert machine.memory_available_bytes <= machine.memory_total_bytes
    assert machine.physical_cores <= machine.logical_cores


def test_a_gpu_has_the_memory_that_the_planner_knows_of_its_kind() -> None:
    gpus = [gpu for name in MACHINE_NAMES for gpu in recorded_machine(name).gpus]
    for label, known in known_machines():
        kind = label.partition("× ")[2]
        alike = [gpu for gpu in gpus if re.search(rf"(?<!G){kind}\b", gpu.name)]
        assert {(gpu.total_bytes, gpu.compute_capability) for gpu in alike} == {
            (known[0].total_bytes, known[0].compute_capability)
        }, label
