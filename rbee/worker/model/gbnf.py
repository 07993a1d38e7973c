"""GBNF, the grammars of llama.cpp, in llguidance's Lark dialect.

The language is that of llama.cpp's grammars/README.md, without tokens in angle brackets. Left
recursion is allowed.

llguidance cuts text into lexemes, each as long as it can be, before it looks at its rules. GBNF
knows no lexemes: `[a-z]+ "x"` may be "fox". So a grammar without recursion becomes one lexeme, a
regular expression, which may end anywhere. In any other grammar each character is a lexeme.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from rbee.worker.model.grammar import HEAD

# Limits of llama.cpp, and of llguidance's calls.
_MOST_REPETITIONS = 2000
_DEEPEST_GROUP = 20
_LONGEST_CHAIN = 500

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NEWLINE = re.compile(r"\r\n|\n|\r|\Z")
_REPEATED = re.compile(r"[*+?]|\{\s*(\d{1,9})\s*(?:(,)\s*(\d{1,9})?\s*)?\}")
_ESCAPED = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt\\\"\[\]]))"
)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}


class Text(NamedTuple):
    text: str


class OneOf(NamedTuple):
    """One character, as a regular expression."""

    regex: str


class Reference(NamedTuple):
    name: str


class Group(NamedTuple):
    """Alternatives, each a sequence."""

    alternatives: list[list[Node]]


class Repeated(NamedTuple):
    node: Node
    least: int
    most: int | None


Node: TypeAlias = Text | OneOf | Reference | Group | Repeated


def to_lark(text: str) -> str:
    """The same grammar for llguidance. Raises ValueError with what is wrong, and the line."""
    rules = _Parser(text).rules()
    if "root" not in rules:
        raise ValueError("it has no rule named root")
    used = _used(rules)
    numbers = {name: number for number, name in enumerate(used)}
    name, literal = ("T{}", _whole) if _is_regular(used) else ("r{}", _one_by_one)
    lines = [f"start: {name.format(numbers['root'])}"]
    for rule in used:
        body = _alternatives(rules[rule], lambda each: name.format(numbers[each]), literal)
        lines.append(f"{name.format(numbers[rule])}: {body}")
    return HEAD + "\n".join(lines) + "\n"


class _Parser:
    """Reads a grammar from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rules(self) -> dict[str, Group]:
        """Each rule by its name. As in llama.cpp, the last one with a name counts."""
        rules: dict[str, Group] = {}
        self._skip(_BLANK_LINES)
        while self._at < len(self._text):
            name = self._take(_NAME, "the name of a rule")
            self._skip(_BLANK)
            self._expect("::=")
            self._skip(_BLANK_LINES)
            rules[name] = self._group(0)
            self._take(_NEWLINE, "the end of the rule")
            self._skip(_BLANK_LINES)
        return rules

    def _group(self, depth: int) -> Group:
        """Alternatives. In parentheses, at a `depth` above 0, they may go on in the next line."""
        if depth > _DEEPEST_GROUP:
            raise self._wrong(f"at most {_DEEPEST_GROUP} parentheses inside each other")
        found = [self._sequence(depth)]
        while self._text.startswith("|", self._at):
            self._at += 1
            self._skip(_BLANK_LINES)
            found.append(self._sequence(depth))
        return Group(found)

    def _sequence(self, depth: int) -> list[Node]:
        found: list[Node] = []
        blank = _BLANK_LINES if depth else _BLANK
        while (node := self._node(depth)) is not None:
            self._skip(blank)
            if repeated := _REPEATED.match(self._text, self._at):
                node = self._repeated(node, repeated)
                self._skip(blank)
            found.append(node)
        return found

    def _node(self, depth: int) -> Node | None:
        """The next one, unless the sequence ends here."""
        match self._text[self._at : self._at + 1]:
            case '"':
                return Text("".join(self._characters('"')))
            case "[":
                return self._one_of()
            case ".":
                self._at += 1
                return OneOf("(?s:.)")
            case "(":
                self._at += 1
                self._skip(_BLANK_LINES)
                group = self._group(depth + 1)
                self._expect(")")
                return group
            case "<" | "!":
                raise self._wrong("no token in angle brackets")
        found = _NAME.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return Reference(found[0])

    def _repeated(self, node: Node, found: re.Match[str]) -> Repeated:
        if (sign := found[0]) in ("*", "+", "?"):
            self._at = found.end()
            return Repeated(node, int(sign == "+"), 1 if sign == "?" else None)
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if max(least, most or 0) > _MOST_REPETITIONS:
            raise self._wrong(f"at most {_MOST_REPETITIONS} repetitions")
        if most is not None and most < least:
            raise self._wrong("a range of repetitions that is not empty")
        self._at = found.end()
        return Repeated(node, least, most)

    def _one_of(self) -> OneOf:
        negated = self._text.startswith("[^", self._at)
        self._at += negated
        parts, characters = [], self._characters("]")
        for character in characters:
            part = _escape(character)
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = next(characters, character)
                if last < character:
                    raise self._wrong("a range of characters that is not empty")
                part += f"-{_escape(last)}"
            parts.append(part)
        if not parts:
            raise self._wrong("a character in the brackets")
        return OneOf(f"[{'^' if negated else ''}{''.join(parts)}]")

    def _characters(self, end: str) -> Iterator[str]:
        """Those up to `end`, without their escapes. It begins behind the opening sign."""
        self._at += 1
        while not self._text.startswith(end, self._at):
            if self._at >= len(self._text):
                raise self._wrong(f"{end} before the end of the grammar")
            yield self._character()
        self._at += 1

    def _character(self) -> str:
        if self._text[self._at] != "\\":
            self._at += 1
            return self._text[self._at - 1]
        found = _ESCAPED.match(self._text, self._at)
        if found is None:
            raise self._wrong(r"one of \n \r \t \\ \" \[ \] \x00 \u0000 \U00000000")
        if found[4]:
            character = _SIMPLE.get(found[4], found[4])
        else:
            number = int(found[1] or found[2] or found[3], 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise self._wrong("a character of Unicode")
            character = chr(number)
        self._at = found.end()
        return character

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, what: re.Pattern[str], wanted: str) -> str:
        found = what.match(self._text, self._at)
        if found is None:
            raise self._wrong(wanted)
        self._at = found.end()
        return found[0]

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise self._wrong(text)
        self._at += len(text)

    def _wrong(self, wanted: str) -> ValueError:
        line = self._text.count("\n", 0, self._at) + 1
        found = self._text[self._at : self._at + 20].split("\n")[0]
        there = f"{found!r}" if found else "its end"
        return ValueError(f"line {line}: expected {wanted}, found {there}")


def _references(node: Node) -> Iterator[str]:
    match node:
        case Reference(name):
            yield name
        case Repeated(inner):
            yield from _references(inner)
        case Group(alternatives):
            for each in alternatives:
                for inner in each:
                    yield from _references(inner)


def _used(rules: dict[str, Group]) -> dict[str, set[str]]:
    """The rules that `root` leads to, each with those that it refers to."""
    used: dict[str, set[str]] = {}
    unseen = ["root"]
    while unseen:
        name = unseen.pop()
        if name in used:
            continue
        if name not in rules:
            raise ValueError(f"it has no rule named {name}")
        used[name] = set(_references(rules[name]))
        unseen += used[name]
    return used


def _is_regular(used: dict[str, set[str]]) -> bool:
    """Whether no rule leads to itself. Raises ValueError if too many lead to each other."""
    users: dict[str, list[str]] = {name: [] for name in used}
    for name, wanted in used.items():
        for each in wanted:
            users[each].append(name)
    left = {name: len(wanted) for name, wanted in used.items()}
    ready = [name for name, count in left.items() if not count]
    regular = chain = 0
    while ready:
        regular, chain, before = regular + len(ready), chain + 1, ready
        ready = []
        for user in (user for name in before for user in users[name]):
            left[user] -= 1
            if not left[user]:
                ready.append(user)
    recursive = len(used) - regular
    if max(chain, recursive) > _LONGEST_CHAIN:
        raise ValueError(f"more than {_LONGEST_CHAIN} rules lead to each other")
    return not recursive


def _alternatives(group: Group, name: Callable[[str], str], literal: Callable[[str], str]) -> str:
    def written(node: Node) -> str:
        match node:
            case Text(text):
                return literal(text)
            case OneOf(regex):
                return f"/{regex}/"
            case Reference(rule):
                return name(rule)
            case Repeated(inner, least, most):
                return f"{written(inner)}{{{least},{'' if most is None else most}}}"
            case Group():
                return f"({_alternatives(node, name, literal)})"

    sequences = [" ".join(map(written, each)) or '""' for each in group.alternatives]
    return " | ".join(sequences)


def _whole(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _one_by_one(text: str) -> str:
    return f"({' '.join(map(_whole, text))})" if text else '""'


def _escape(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
