"""A grammar as a client defines it, in one of the syntaxes that the API knows."""

from __future__ import annotations

from sgcx.responses.grammars.expressions import Grammar, UnsupportedGrammar
from sgcx.responses.grammars.lark import START, parse_lark
from sgcx.responses.grammars.regex import parse_regex

_LONGEST = 64 * 1024
"""Characters. Longer ones could take seconds to read, and longer to compile."""


def parse_definition(definition: str, syntax: str) -> Grammar:
    """Raises `UnsupportedGrammar`."""
    if len(definition) > _LONGEST:
        raise UnsupportedGrammar(f"longer than {_LONGEST} characters")
    match syntax:
        case "lark":
            return parse_lark(definition)
        case "regex":
            return Grammar({START: parse_regex(definition)}, START)
    raise UnsupportedGrammar(f"the syntax {syntax!r}")
