"""Doctor on images: they are encoded in the memory that the cache leaves free, which other programs may have taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sgcx.byte_sizes import GIB, gib
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.records import ServerRecord
from sgcx.workflows.checks.check import Check, Status, listed
from sgcx.workflows.checks.servers import SERVERS

_CACHE_VARIABLE = "SGLANG_VLM_CACHE_SIZE_MB"
_LARGEST_CACHE_MIB = 1024
"""SGLang's own default is 100."""
_ROOM_BYTES = 2 * GIB
"""What encoding a few large images takes beside what a server that has worked already holds."""


def check_room_for_images(record: ServerRecord, hardware: HardwareSnapshot) -> Iterator[Check]:
    """Of a running server; nothing for one that takes no images, or has no GPU."""
    if not load_child_config(record.server_dir / CONFIG_NAME).images or not record.gpu_indices:
        return
    tight = [gpu for gpu in hardware.gpus if gpu.index in record.gpu_indices and gpu.free_bytes < _ROOM_BYTES]
    title = f"{record.name}: images"
    if not tight:
        yield Check(SERVERS, title, Status.OK, "its GPUs have room to encode them")
        return
    least = min(gpu.free_bytes for gpu in tight)
    found = f"{gib(least)} left on {listed(gpu.index for gpu in tight)}"
    why = "A large image can run a GPU out of memory, and that ends the server"
    mend = f"End other programs on it, or: sgcx down {record.name}; sgcx up {record.profile} with a lower --context"
    yield Check(SERVERS, title, Status.WARN, found, why, mend)


def check_image_cache(environ: Mapping[str, str], *, has_gpus: bool) -> Iterator[Check]:
    """A variable that servers inherit, and that no plan counts."""
    value = environ.get(_CACHE_VARIABLE)
    if value is None or not has_gpus or (value.isdecimal() and int(value) <= _LARGEST_CACHE_MIB):
        return
    why = "So much of each GPU is taken by encoded images, beyond what a plan counts; other words end SGLang"
    mend = f"unset {_CACHE_VARIABLE}   (SGLang keeps 100 MiB then)"
    yield Check(SERVERS, "image cache", Status.WARN, f"{_CACHE_VARIABLE}={value}", why, mend)
