"""Lark grammars, read into grammar expressions.

The subset: rules and terminals with their modifiers, priorities and aliases (which only shape the tree), strings
and regular expressions (as `regex` reads them) with their flags, ranges `"a".."z"`, groups, `[optional]`,
`* + ? ~n ~n..m`, `|`, comments, `%import` from `common`, `%ignore`. Outside it: templates, other imports,
`%declare`, `%override`, `%extend`.

The result is context-free: it does not know Lark's lexer, which takes the longest terminal. Where that matters, it
allows more texts than Lark does, never fewer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from sgcx.responses.grammars.expressions import (
    Character,
    Choice,
    Expression,
    Grammar,
    Reference,
    Repetition,
    Sequence,
    Text,
    UnsupportedGrammar,
    barren_rules,
    in_any_case,
    references,
)
from sgcx.responses.grammars.regex import MOST_REPETITIONS, parse_regex

START = "start"
_IGNORED = "ignored text"
"""No name that a grammar could use."""
_DEEPEST = 40

_COMMON = {
    "CNAME": r"[_A-Za-z]\w*",
    "CR": r"\r",
    "DECIMAL": r"\d+\.\d*|\.\d+",
    "DIGIT": r"\d",
    "ESCAPED_STRING": r'"([^"\\\n]|\\.)*"',
    "FLOAT": r"\d+[eE][+-]?\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?",
    "HEXDIGIT": r"[0-9A-Fa-f]",
    "INT": r"\d+",
    "LCASE_LETTER": r"[a-z]",
    "LETTER": r"[A-Za-z]",
    "LF": r"\n",
    "NEWLINE": r"(\r?\n)+",
    "NUMBER": r"\d+|\d+[eE][+-]?\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?",
    "SIGNED_FLOAT": r"[+-]?(\d+[eE][+-]?\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?)",
    "SIGNED_INT": r"[+-]?\d+",
    "SIGNED_NUMBER": r"[+-]?(\d+|\d+[eE][+-]?\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?)",
    "UCASE_LETTER": r"[A-Z]",
    "WORD": r"[A-Za-z]+",
    "WS": r"[ \t\f\r\n]+",
    "WS_INLINE": r"[ \t]+",
}

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}

_Kind = Literal["name", "string", "regex", "number", "sign", "space"]
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\\[ \t]*\n|(?://|\#)[^\n]*|\n)
    |(?P<name>[?!]*_?[A-Za-z]\w*|[?!]*_\w+)
    |(?P<string>"(?:\\.|[^"\\\n])*"i?)
    |(?P<regex>/(?!/)(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*)
    |(?P<number>-?\d+)
    |(?P<sign>->|\.\.|[:|()\[\]*+?~%,.{}])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str
    opens_line: bool


_END = _Token("sign", "", opens_line=True)


def parse_lark(definition: str) -> Grammar:
    """Raises `UnsupportedGrammar`."""
    tokens = _tokens(definition)
    ignores = any(token.text == "%" and word.text == "ignore" for token, word in pairwise(tokens))
    return _Parser(tokens, ignores).parse()


def _tokens(definition: str) -> list[_Token]:
    tokens: list[_Token] = []
    opens_line, at = True, 0
    while at < len(definition):
        found = _TOKEN.match(definition, at)
        if found is None:
            raise UnsupportedGrammar(f"{definition[at : at + 20]!r}")
        at = found.end()
        if found["space"] is not None:
            opens_line = opens_line or found["space"] == "\n"
            continue
        for kind in ("name", "string", "regex", "number", "sign"):
            if found[kind] is not None:
                tokens.append(_Token(kind, found[kind], opens_line))
        opens_line = False
    return tokens


@dataclass(slots=True)
class _Parser:
    tokens: list[_Token]
    ignores: bool
    """There is text that may stand between any two terminals of a rule."""
    _at: int = field(default=0, init=False)
    _rules: dict[str, Expression] = field(default_factory=dict, init=False)
    _ignored: list[Expression] = field(default_factory=list, init=False)
    _in_terminal: bool = field(default=True, init=False)
    _depth: int = field(default=0, init=False)

    def parse(self) -> Grammar:
        while self._next is not _END:
            self._statement()
        if START not in self._rules:
            raise UnsupportedGrammar("no rule `start`")
        if self._ignored:
            self._rules[_IGNORED] = Repetition(Choice(tuple(self._ignored)), 0, None)
            self._rules[START] = Sequence((Reference(_IGNORED), self._rules[START]))
        self._check_rules()
        return Grammar(self._rules, START)

    def _check_rules(self) -> None:
        for rule in self._rules.values():
            for name in references(rule):
                if name not in self._rules:
                    raise UnsupportedGrammar(f"`{name}`, which nothing defines")
        for name in barren_rules(self._rules):
            raise UnsupportedGrammar(f"`{name}`, of which there is no text")

    def _statement(self) -> None:
        token = self._take()
        if token.text == "%":
            self._directive(self._take().text)
            return
        if token.kind != "name":
            raise UnsupportedGrammar(f"`{token.text}` where a rule should begin")
        name = token.text.lstrip("?!")
        if self._taken("."):
            self._take()  # a priority
        self._expect(":")
        self._define(name, self._body(in_terminal=name.lstrip("_")[:1].isupper()))

    def _directive(self, word: str) -> None:
        match word:
            case "ignore":
                self._ignored.append(self._body(in_terminal=True))
            case "import" if self._take().text == "common":
                self._import()
            case _:
                raise UnsupportedGrammar(f"%{word}")

    def _import(self) -> None:
        if self._taken("("):
            names = [self._take().text]
            while self._taken(","):
                names.append(self._take().text)
            self._expect(")")
            for name in names:
                self._define(name, _common(name))
            return
        self._expect(".")
        name = self._take().text
        self._define(self._take().text if self._taken("->") else name, _common(name))

    def _define(self, name: str, expression: Expression) -> None:
        if name in self._rules:
            raise UnsupportedGrammar(f"`{name}`, which is defined twice")
        self._rules[name] = expression

    # what a rule is made of

    def _body(self, *, in_terminal: bool) -> Expression:
        self._in_terminal = in_terminal
        return self._alternatives()

    def _alternatives(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnsupportedGrammar("too many nested groups")
        found = [self._sequence()]
        while self._taken("|"):
            found.append(self._sequence())
        self._depth -= 1
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def _sequence(self) -> Expression:
        elements: list[Expression] = []
        while not self._ends_here():
            elements.append(self._repeated(self._atom()))
        if self._taken("->"):
            self._take()  # the name of a branch of the tree
        return elements[0] if len(elements) == 1 else Sequence(tuple(elements))

    def _ends_here(self) -> bool:
        token = self._next
        if token.text in ("|", ")", "]", "->"):
            return True
        following = self.tokens[self._at + 1].text if self._at + 1 < len(self.tokens) else ""
        return token.opens_line and (token.text in ("", "%") or (token.kind == "name" and following in (":", ".")))

    def _repeated(self, element: Expression) -> Expression:
        if self._taken("*"):
            return Repetition(element, 0, None)
        if self._taken("+"):
            return Repetition(element, 1, None)
        if self._taken("?"):
            return Repetition(element, 0, 1)
        if self._taken("~"):
            least = self._count()
            return Repetition(element, least, self._count() if self._taken("..") else least)
        return element

    def _count(self) -> int:
        token = self._take()
        if token.kind != "number" or not 0 <= int(token.text[:6]) <= MOST_REPETITIONS:
            raise UnsupportedGrammar(f"`{token.text}` repetitions")
        return int(token.text)

    def _atom(self) -> Expression:
        token = self._take()
        match token.kind, token.text:
            case "sign", "(":
                return self._closed_by(")")
            case "sign", "[":
                return Repetition(self._closed_by("]"), 0, 1)
            case "string", text:
                return self._terminal(self._range(text) if self._taken("..") else _string(text))
            case "regex", text:
                pattern, _, flags = text[1:].rpartition("/")
                return self._terminal(parse_regex(pattern.replace("\\/", "/"), flags))
            case "name", name if self._next.text != "{":
                reference = Reference(name)
                return self._terminal(reference) if name.lstrip("_")[:1].isupper() else reference
        raise UnsupportedGrammar(f"`{token.text}`")

    def _terminal(self, expression: Expression) -> Expression:
        if self._in_terminal or not self.ignores:
            return expression
        return Sequence((expression, Reference(_IGNORED)))

    def _closed_by(self, sign: str) -> Expression:
        inner = self._alternatives()
        self._expect(sign)
        return inner

    def _range(self, low: str) -> Expression:
        first, last = _unquoted(low), _unquoted(self._take().text)
        if len(first) != 1 or len(last) != 1 or first > last:
            raise UnsupportedGrammar(f"the range that begins with {low}")
        return Character(((ord(first), ord(last)),))

    # tokens

    @property
    def _next(self) -> _Token:
        return self.tokens[self._at] if self._at < len(self.tokens) else _END

    def _take(self) -> _Token:
        token = self._next
        if token is _END:
            raise UnsupportedGrammar("an end that comes too early")
        self._at += 1
        return token

    def _taken(self, sign: str) -> bool:
        if self._next.kind != "sign" or self._next.text != sign:
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._taken(sign):
            raise UnsupportedGrammar(f"`{self._next.text}` where `{sign}` should be")


def _common(name: str) -> Expression:
    if name not in _COMMON:
        raise UnsupportedGrammar(f"common.{name}")
    return parse_regex(_COMMON[name])


def _string(text: str) -> Expression:
    return in_any_case(_unquoted(text[:-1])) if text.endswith("i") else Text(_unquoted(text))


def _unquoted(text: str) -> str:
    if text[:1] != '"' or text[-1:] != '"':
        raise UnsupportedGrammar(f"{text} where a string should be")
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2]
    return chr(int(digits, 16)) if digits else _CONTROLS.get(escape[3], escape[3])
