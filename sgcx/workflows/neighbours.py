"""Several servers on one machine: which GPUs and ports the others have, so that the next one takes none of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.server.records import ServerRecord, ServerState, list_records
from sgcx.server.supervisor import survey


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Servers that live, or will be started again, whether they answer or not."""

    records: tuple[ServerRecord, ...]

    def gpu_owners(self) -> dict[int, str]:
        return {index: record.name for record in self.records for index in record.gpu_indices}

    def left_by(self, hardware: HardwareSnapshot) -> HardwareSnapshot:
        """The machine without their GPUs, whose memory a server that still loads has not taken yet."""
        owners = self.gpu_owners()
        left = tuple(gpu for gpu in hardware.gpus if gpu.index not in owners)
        if hardware.gpus and not left:
            names = sorted(set(owners.values()))
            raise UserError(
                f"Every GPU serves already: {', '.join(names)}",
                hint=f"Stop one with `sgcx down {names[0]}`, or share GPUs on purpose with --gpus",
            )
        return replace(hardware, gpus=left)

    def free_port_from(self, first: int) -> int:
        taken = {record.port for record in self.records}
        return next(port for port in range(first, 1 << 16) if port not in taken)


def find_neighbours(paths: Paths, *, beside: str | None = None) -> Neighbours:
    """`beside`: the server that is none of them."""
    return Neighbours(
        tuple(
            record
            for record in list_records(paths.servers).records
            if record.name != beside
            and (record.state is ServerState.BACKOFF or survey(paths.servers, record.name).alive)
        )
    )
