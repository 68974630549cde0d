"""Ids as the API has them: what it is, and that there is only one."""

from __future__ import annotations

from uuid import uuid4


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"
