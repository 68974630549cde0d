"""Run with an engine's Python: parses command lines with the argument parser of the SGLang in a folder.

    python parse_arguments.py FOLDER < command_lines.json

FOLDER holds the package `sglang`, installed or only unpacked. Prints, as JSON, the number of options that the parser
knows and what it said of each command line that it refused. Abbreviations are refused: they are valid by accident.
"""

from __future__ import annotations

import argparse
import json
import sys
import types


class Refused(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message: str):  # type: ignore[no-untyped-def]
        raise Refused(message)


def main() -> None:
    # The package's own start would import the kernels and patch transformers; its parser needs neither.
    package = types.ModuleType("sglang")
    package.__path__ = [f"{sys.argv[1]}/sglang"]
    sys.modules["sglang"] = package
    from sglang.srt.server_args import ServerArgs  # type: ignore[import-not-found]

    parser = Parser(allow_abbrev=False)
    ServerArgs.add_cli_args(parser)
    refusals = []
    for argv in json.load(sys.stdin):
        try:
            parser.parse_args(argv)
        except Refused as refusal:
            refusals.append([argv, str(refusal)])
    json.dump({"options": len(parser._option_string_actions), "refusals": refusals}, sys.stdout)


main()
