"""Runs every probe with whatever SGLang is on the path, and prints what each found as the last line."""

from __future__ import annotations

import json
import traceback

import chat
import grammar
import manager
import media
import parsers
import scheduling
import starting

found = {}
for module in (chat, grammar, manager, media, parsers, scheduling, starting):
    for name, probe in module.PROBES.items():
        try:
            found[name] = probe()
        except Exception:
            found[name] = f"raised {traceback.format_exc()}"
print(json.dumps(found))
