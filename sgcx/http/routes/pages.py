"""Lists of items, a page at a time, as the API cuts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sgcx.errors import InvalidRequest
from sgcx.responses.wire import JsonObject

_MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Page:
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


def parse_page(query: Mapping[str, str]) -> Page:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"`order` must be asc or desc, not {order!r}", param="order")
    limit = parse_integer(query, "limit", default=20)
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidRequest(f"`limit` must be from 1 to {_MAX_LIMIT}, not {limit}", param="limit")
    return Page(query.get("after"), limit, "asc" if order == "asc" else "desc")


def parse_integer(query: Mapping[str, str], name: str, *, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(f"`{name}` must be a whole number, not {text[:40]!r}", param=name)
    return int(text)


def item_list(items: Sequence[JsonObject], page: Page) -> JsonObject:
    """`items` oldest first."""
    ordered = list(items) if page.order == "asc" else list(reversed(items))
    start = 0 if page.after is None else _place(ordered, page.after) + 1
    shown = ordered[start : start + page.limit]
    return listed(shown, has_more=start + page.limit < len(ordered))


def listed(shown: Sequence[JsonObject], *, has_more: bool = False) -> JsonObject:
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": has_more,
    }


def _place(items: Sequence[JsonObject], item_id: str) -> int:
    for index, item in enumerate(items):
        if item["id"] == item_id:
            return index
    raise InvalidRequest(f"`after` names no item of this list: {item_id!r}", param="after")
