r"""Text of others made safe to show: the one place where that is decided.

A model's file, its answer, a Hub, a node, a request or a driver may say anything. What would drive
a terminal, hide text, or reorder it is written out: ESC as \x1b, a right-to-left override as
\u202e. Whatever writes to a terminal or to a log uses one of these functions.
"""

from __future__ import annotations

from collections.abc import Callable

# Not printable to Python, which means what it would not show in a literal; but a blank is harmless.
_BLANKS = frozenset("\t\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
# Printable to Python, but not to be seen: Default_Ignorable_Code_Point in Unicode's
# DerivedCoreProperties.txt, except for the variation selectors of which emoji are made.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
# Embeddings, overrides and isolates: what stands between them is shown in another order.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DRIVING = (_CONTROLS | _REORDERING) - frozenset("\t\n")


def line(text: str) -> str:
    """One line, in which line breaks are written out too. Tabs stay."""
    return _rewritten(text, _written_out)


def lines(text: str) -> str:
    """Several lines, each of which is known to begin where it should."""
    return "\n".join(map(line, text.split("\n")))


def answer(text: str) -> str:
    """A model's answer for a terminal. Joiners and marks of direction stay, of which languages and
    emoji are made. A carriage return is dropped."""
    if text.isprintable():
        return text
    kept = text.replace("\r", "")
    return "".join(
        _written_out(each) if each in _DRIVING or _is_surrogate(each) else each for each in kept
    )


def document(json: str) -> str:
    """A JSON document that means the same, with escapes in its strings."""
    return "\n".join(_rewritten(each, _as_json) for each in json.split("\n"))


def encodable(text: str) -> str:
    """Only half pairs of surrogates are written out: a name that is not UTF-8 has them."""
    return text.encode(errors="backslashreplace").decode()


def _rewritten(text: str, rewrite: Callable[[str], str]) -> str:
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(each if _is_harmless(each) else rewrite(each) for each in text)


def _is_harmless(letter: str) -> bool:
    return letter in _BLANKS or (letter.isprintable() and letter not in _INVISIBLE)


def _is_surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def _written_out(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _as_json(letter: str) -> str:
    pairs = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))
