"""Copies FlashAttention 3's library without the GPU code that these models never load: `prune_fa3.py LIBRARY COPY`.

Of its gigabyte, a hundredth runs here: Hopper, bfloat16, the head sizes of latent attention. The rest becomes zeros,
which pack to nothing. Code for the GPU is loaded only when it is first called, so nobody misses it.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_FATBIN = re.compile(re.escape(struct.pack("<I", 0xBA55ED50)))
_HOPPER = 90
_KERNEL = re.compile(rb"\.text\.(_Z\w+)")
_MAINLOOP = re.compile(rb"CollectiveMainloopFwd")
_SIZES = re.compile(rb"Li(\d+)E")
_KEPT_TILES = (
    (b"64", b"512"),  # decoding: the rotary part and the latent
    (b"128", b"96", b"192", b"128"),  # prefill
    (b"128", b"176", b"128"),
    (b"128", b"128", b"1"),
    (b"192", b"128", b"96", b"96"),  # the image encoder
)


def prune(library: bytes) -> bytes:
    pruned = bytearray(library)
    for start, end, architecture in _cubins(library):
        if architecture != _HOPPER or not _is_kept(library[start:end]):
            pruned[start:end] = bytes(end - start)
    return bytes(pruned)


def _cubins(library: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, end and compute capability, times ten, of each in each fatbin."""
    for found in _FATBIN.finditer(library):
        _, _, header_bytes, content_bytes = struct.unpack_from("<IHHQ", library, found.start())
        position = found.start() + header_bytes
        end = position + content_bytes
        while position < end:
            (entry_header_bytes,) = struct.unpack_from("<I", library, position + 4)
            (entry_bytes,) = struct.unpack_from("<Q", library, position + 8)
            (architecture,) = struct.unpack_from("<I", library, position + 28)
            start = position + entry_header_bytes
            position = start + entry_bytes
            yield start, position, architecture


def _is_kept(cubin: bytes) -> bool:
    """What is no attention kernel is small, and stays."""
    kernels = [name for name in set(_KERNEL.findall(cubin)) if _MAINLOOP.search(name)]
    return not kernels or any(map(_is_kept_kernel, kernels))


def _is_kept_kernel(name: bytes) -> bool:
    sizes = tuple(_SIZES.findall(name)[2:6])
    fits = any(sizes[: len(tile)] == tile for tile in _KEPT_TILES)
    return fits and b"MainloopFwdSm90" in name and b"bfloat16_t" in name


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(prune(Path(sys.argv[1]).read_bytes()))
