"""Chat templates, rendered as transformers renders them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

PUBLISHED = Path(__file__).parent / "dialects" / "templates"


def load_template(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    return environment.from_string(source)


def published(name: str) -> Template:
    return load_template((PUBLISHED / f"{name}.jinja").read_text(encoding="utf-8"))


def render(template: Template, messages: list[dict[str, Any]], **variables: object) -> str:
    return template.render(messages=messages, **{"bos_token": "", "add_generation_prompt": True, **variables})
