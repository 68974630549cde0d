"""The registry as a page of documentation: `docs/patches.md` is what this returns."""

from __future__ import annotations

from collections.abc import Iterable

from sgcx.engines.patches.registry import Patch

_INTRODUCTION = """\
# The patches to SGLang

<!-- Made by `sgcx patch list --markdown`. Change sgcx/engines/patches instead. -->

sgcx changes SGLang {versions} where no layer around it can mend what it does. Each patch is one unified diff for one
file, in `sgcx/engines/patches/<SGLang version>/`, independent of the others except where it says so. `sgcx up` starts
its engines with all of them, and `sgcx up --without-patch NAME` leaves one out; the installed SGLang is never changed
([engines.md](engines.md)). For an SGLang of your own:

```console
$ sgcx patch apply --target ~/my-venv          # refuses any file but the published one
$ sgcx patch export patches && cd site-packages && patch -p1 < patches/request-state.patch
```

SGLang is licensed under the Apache License, Version 2.0; so are these changes to it.
"""


def markdown(patches: Iterable[Patch]) -> str:
    chosen = tuple(patches)
    versions = ", ".join(dict.fromkeys(patch.sglang_version for patch in chosen))
    rows = [f"| [{patch.name}](#{patch.name}) | {patch.purpose} |\n" for patch in chosen]
    table = "".join(("| patch | what it does |\n|---|---|\n", *rows))
    return "\n".join((_INTRODUCTION.format(versions=versions), table, *map(_section, chosen)))


def _section(patch: Patch) -> str:
    facts = [("Changes", f"`{patch.where}` in `{patch.file}`"), ("Upstream", patch.upstream)]
    if patch.needs:
        facts.append(("Needs", ", ".join(patch.needs)))
    if patch.needed_by_sgcx:
        facts.append(("Needed", "by `sgcx up`, which does not start without it"))
    lines = "".join(f"- {title}: {text}\n" for title, text in facts)
    return f"## {patch.name}\n\n{patch.reason}\n\n{lines}"
