"""Run with an engine's Python: what SGLang makes of command lines on GPUs that this machine has not.

    python settle_arguments.py FOLDER < cases.json

FOLDER holds the package `sglang` 0.5.10.post1. A case has `argv`, `environment`, and the GPU's `compute_capability`
and `total_mib`. What asks the hardware is answered with these; every other rule of SGLang's is its own, and ends or
changes an argument as it would there. Prints, as JSON and for each case, all settled arguments or why it was refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import types


def main() -> None:
    # The package's own start would import the kernels and patch transformers.
    package = types.ModuleType("sglang")
    package.__path__ = [f"{sys.argv[1]}/sglang"]
    sys.modules["sglang"] = package
    from sglang.srt import server_args  # type: ignore[import-not-found]
    from sglang.srt.layers.quantization import awq, marlin_utils  # type: ignore[import-not-found]

    parser = argparse.ArgumentParser(allow_abbrev=False)
    server_args.ServerArgs.add_cli_args(parser)
    awq._is_cuda = True
    outcomes = []
    for case in json.load(sys.stdin):
        capability = tuple(case["compute_capability"])
        pretend(server_args, capability, case["total_mib"])
        marlin_utils.get_device_capability = lambda *_, said=capability: said
        os.environ.update({"SGLANG_ENABLE_SPEC_V2": "0", **case["environment"]})
        try:
            settled = server_args.ServerArgs.from_cli_args(parser.parse_args(case["argv"]))
            settled.check_server_args()
            outcome = {each.name: getattr(settled, each.name) for each in dataclasses.fields(settled)}
        except (AssertionError, ValueError) as error:
            outcome = {"refused": str(error)}
        outcomes.append(outcome)
    json.dump(outcomes, sys.stdout, default=str)


def pretend(server_args: types.ModuleType, capability: tuple[int, int], total_mib: int) -> None:
    import torch  # type: ignore[import-not-found]

    major = capability[0]
    answers = {
        "is_cuda": True,
        "is_cpu": False,
        "is_flashinfer_available": True,
        "get_device": "cuda",
        "get_device_memory_capacity": total_mib,
        "get_device_sm": capability[0] * 10 + capability[1],
        "is_hopper_with_cuda_12_3": major == 9,
        "is_sm90_supported": major == 9,
        "is_sm100_supported": major == 10,
        "is_sm120_supported": major == 12,
        "is_blackwell_supported": major >= 10,
    }
    for name, answer in answers.items():
        assert hasattr(server_args, name), f"this SGLang asks otherwise than by {name}"
        setattr(server_args, name, lambda *_, said=answer: said)
    torch.cuda.get_device_capability = lambda *_: capability


main()
