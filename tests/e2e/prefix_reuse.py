"""How much of each prompt the engine still held: `python tests/e2e/prefix_reuse.py SERVER_LOG` prints a table.

A prompt that goes on from an earlier one could find all of that and of its answer in the cache. The engine keeps
nothing of an answer's last token, so one token less than that is all there is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_COMPARED = re.compile(r"request (resp_\w+): prompt cache (.*?)(?: \(compared with (resp_\w+)\))?$", re.MULTILINE)
_ENDED = re.compile(r"(resp_\w+) ended as \w+: input_tokens=(\d+) cached_tokens=(\d+) output_tokens=(\d+)")


@dataclass(frozen=True)
class PromptReuse:
    """`held`: the tokens of the earlier prompt and its answer; None where there was none, or it was left."""

    outlook: str
    input_tokens: int
    cached_tokens: int
    held: int | None

    @property
    def share(self) -> float | None:
        return None if self.held is None else min(1.0, self.cached_tokens / (self.held - 1))


def read_log(text: str) -> list[PromptReuse]:
    """The requests that ended with usage and had a prompt_cache_key, in the order in which they came."""
    counts = {found[1]: tuple(map(int, found.groups()[1:])) for found in _ENDED.finditer(text)}
    reuses = []
    for found in _COMPARED.finditer(text):
        response_id, outlook, earlier = found.groups()
        if response_id in counts:
            input_tokens, cached_tokens, _ = counts[response_id]
            held = None if earlier not in counts else counts[earlier][0] + counts[earlier][2]
            reuses.append(PromptReuse(outlook, input_tokens, cached_tokens, held))
    return reuses


def table(reuses: Sequence[PromptReuse]) -> str:
    rows = ["| request | prompt | cached | earlier prompt and answer | reused | outlook |", "|---|---|---|---|---|---|"]
    for number, reuse in enumerate(reuses, start=1):
        held, share = ("", "") if reuse.share is None else (str(reuse.held), f"{reuse.share:.1%}")
        rows.append(f"| {number} | {reuse.input_tokens} | {reuse.cached_tokens} | {held} | {share} | {reuse.outlook} |")
    return "\n".join(rows)


def summary(reuses: Sequence[PromptReuse]) -> str:
    """One line for each outlook: how many requests, and the least, the middle and the greatest share."""
    lines = ["| outlook | requests | least | median | all tokens |", "|---|---|---|---|---|"]
    for outlook in sorted({reuse.outlook for reuse in reuses}):
        known = [reuse for reuse in reuses if reuse.outlook == outlook and reuse.share is not None]
        shares = sorted(reuse.share for reuse in known)
        if shares:
            whole = sum(reuse.cached_tokens for reuse in known) / sum(reuse.held for reuse in known)
            lines.append(
                f"| {outlook} | {len(known)} | {shares[0]:.1%} | {shares[len(shares) // 2]:.1%} | {whole:.2%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    log = read_log(Path(sys.argv[1]).read_text(errors="replace"))
    print(table(log), summary(log), sep="\n\n")
