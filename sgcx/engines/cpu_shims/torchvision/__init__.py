"""Loads the real torchvision beside a torch that may not fit its native library.

Package indexes have torchvision for CUDA. Beside a torch that was built without CUDA its native library does not
load, and its Python code then fails while registering `torchvision::nms`. So where the library does not load, declare
the operators that it would have brought; then take this package's folder out of the search path and let the real
one load in its place. A stub will not do: transformers finds the real package's metadata and uses what it promises.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import torch

_FOLDER = Path(__file__).parent.parent
_OPERATORS = ("nms", "qnms")


def _native_library_loads(search_path: list[str]) -> bool:
    found = PathFinder.find_spec("torchvision", search_path)
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    libraries = [library for folder in folders for library in folder.glob("_C*.so")]
    try:
        for library in libraries:
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return bool(libraries)


def _declare_operators() -> object:
    """The declarations live as long as the object returned."""
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


_complete_path = list(sys.path)
_path_without_this = [entry for entry in sys.path if Path(entry or ".").absolute() != _FOLDER.absolute()]
_declarations = None if _native_library_loads(_path_without_this) else _declare_operators()
sys.path[:] = _path_without_this
del sys.modules["torchvision"]
try:
    _real = importlib.import_module("torchvision")
finally:
    sys.path[:] = _complete_path
_real.__dict__["_sgcx_declarations"] = _declarations
sys.modules["torchvision"] = _real
