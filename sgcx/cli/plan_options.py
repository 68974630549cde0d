"""Options that say what a plan must give: `sgcx plan` and `sgcx up` share them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sgcx.byte_sizes import GIB

if TYPE_CHECKING:
    from sgcx.planning.plan import Preference, Wishes

Context = Annotated[int | None, typer.Option(help="Context length in tokens.")]
Concurrency = Annotated[int | None, typer.Option(help="Sessions of full length at the same time.")]
Gpus = Annotated[str | None, typer.Option(help="GPU indices, as 0,1,2,3.")]
Variant = Annotated[str | None, typer.Option(help="The weights to use; see `sgcx profiles show MODEL`.")]
Prefer = Annotated[str | None, typer.Option(metavar="latency|throughput", help="Balanced unless given.")]
HostCache = Annotated[
    str | None, typer.Option(metavar="auto|GIB", help="Keep older sessions in the machine's own memory.")
]
Hardware = Annotated[Path | None, typer.Option(help="Plan for a recorded machine: the JSON of `sgcx hardware`.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines such as this one, together.")]
DistInitAddr = Annotated[str | None, typer.Option(metavar="ADDRESS:PORT", help="Where several nodes meet.")]
DataParallel = Annotated[int, typer.Option("--dp", min=1, help="Data-parallel attention ranks.")]
Sglang = Annotated[str | None, typer.Option(metavar="VERSION", help="The SGLang release; the usual one unless given.")]


def read_wishes(
    *,
    context: int | None = None,
    concurrency: int | None = None,
    gpus: str | None = None,
    variant: str | None = None,
    prefer: str | None = None,
    host_cache: str | None = None,
    nodes: int = 1,
    dist_init_addr: str | None = None,
    dp: int = 1,
    sglang: str | None = None,
) -> Wishes:
    from sgcx.planning.plan import Wishes

    return Wishes(
        context_length=context,
        concurrency=concurrency,
        gpus=_indices(gpus),
        variant=variant,
        prefer=_preference(prefer),
        host_cache_bytes=_host_cache(host_cache),
        node_count=nodes,
        dist_init_addr=dist_init_addr,
        dp_size=dp,
        sglang_version=sglang,
    )


def _indices(text: str | None) -> tuple[int, ...] | None:
    from sgcx.errors import UserError

    if text is None:
        return None
    try:
        indices = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--gpus {text!r} is no list of GPU indices", hint="Write it as 0,1,2,3") from None
    if len(set(indices)) < len(indices):
        raise UserError(f"--gpus {text!r} names a GPU twice", hint="Name each GPU once, as 0,1,2,3")
    return indices


def _preference(text: str | None) -> Preference | None:
    from sgcx.errors import UserError

    match text:
        case None | "latency" | "throughput":
            return text
        case _:
            raise UserError(
                f"--prefer {text!r} is neither latency nor throughput", hint="Leave it out for both in balance"
            )


def _host_cache(text: str | None) -> int | Literal["auto"] | None:
    from sgcx.errors import UserError

    if text is None or text == "auto":
        return "auto" if text else None
    if not text.isdigit():
        raise UserError(f"--host-cache {text!r} is neither auto nor a number of GiB", hint="Write it as auto or 512")
    return int(text) * GIB
