"""A kernel that exists on a GPU only: it can be imported, and says so when it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def absent(name: str) -> Callable[..., NoReturn]:
    def kernel(*_arguments: object, **_options: object) -> NoReturn:
        raise RuntimeError(f"sgl_kernel's {name} is a compiled kernel, and this engine runs on a CPU without it")

    return kernel
