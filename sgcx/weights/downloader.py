"""The process that downloads: `python -m sgcx.weights.downloader`, its orders on stdin, its verdict on stdout.

A process of its own, because the hub's client cannot be interrupted in the middle of a shard, and a transfer that
hangs can only be ended from outside. It ends with its parent: stdin closes then.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import threading


def main() -> None:
    orders = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            orders["repository"],
            revision=orders["revision"],
            cache_dir=orders["cache_dir"],
            allow_patterns=[glob.escape(path) for path in orders["paths"]],
        )
    except Exception as error:  # its text may hold addresses and headers: only its kind is passed on
        _say(type(error).__name__)
    else:
        _say(None)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _say(error: str | None) -> None:
    sys.stdout.write(json.dumps({"error": error}) + "\n")
    sys.stdout.flush()
    os._exit(0 if error is None else 1)  # worker threads of the hub's client may still wait for the network


if __name__ == "__main__":
    main()
