"""Loads the real torchvision beside a torch that was built without CUDA.

torchvision's native library does not load there, and its Python code then fails while registering `torchvision::nms`.
So declare the operators, take this package's folder out of the search path, and let the real one load in its place.
A stub will not do: transformers looks for the real package's metadata and then uses what it promises.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from pathlib import Path

import torch

_FOLDER = Path(__file__).parent.parent
_OPERATORS = ("nms", "qnms")

_library = torch.library.Library("torchvision", "DEF")
for _operator in _OPERATORS:
    with suppress(RuntimeError):  # already declared: the native library did load
        _library.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

_search_path = list(sys.path)
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").absolute() != _FOLDER]
del sys.modules["torchvision"]
try:
    _real = importlib.import_module("torchvision")
finally:
    sys.path[:] = _search_path
_real.__dict__["_sgcx_operators"] = _library  # the declarations end with this object
sys.modules["torchvision"] = _real
