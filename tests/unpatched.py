"""SGLang as near to what was published as the rehearsal can be served with."""

from __future__ import annotations

from sgcx.engines.patches.registry import PATCHES

LEFT_OUT = tuple(patch.name for patch in PATCHES if not patch.needed_by_sgcx and patch.name != "cpu-grammar")
"""Without the other one the first grammar ends the scheduler of an engine on a CPU."""

WITHOUT_PATCHES = tuple(word for name in LEFT_OUT for word in ("--without-patch", name))
"""For `sgcx up`."""
