"""Text for a terminal, broken between words where a line would be too long."""

from __future__ import annotations

import re
import unicodedata

_TAB = 8
_COMMAND = r"(?<=: )(?=rbee-keeper |--\w)"
_EMOJI_STYLE = "\N{VARIATION SELECTOR-16}"


class WordWrap:
    """Text that comes in pieces. A word is held back until it is whole: until a blank, the end of
    the line or `flush`. A word that is wider than the terminal is broken by the terminal; between
    wide characters, as Chinese and Japanese have, a line may end anywhere."""

    def __init__(self) -> None:
        self._column = 0
        self._gap = self._word = ""
        self._goes_on = False  # what was placed last is the beginning of a longer word

    @property
    def line_is_open(self) -> bool:
        """Whether the last line that was given back, or is held back, has no end yet."""
        return self._column > 0 or bool(self._gap or self._word)

    def feed(self, text: str, columns: int) -> str:
        """What can be shown now, on a terminal of so many columns."""
        shown: list[str] = []
        for letter in text:
            if letter == "\n":
                shown += [self._place_word(columns), self._gap, letter]
                self._column, self._gap = 0, ""
            elif letter in " \t":
                shown.append(self._place_word(columns))
                self._gap += letter
            elif width(letter) == 2:
                shown.append(self._place_word(columns))
                self._word = letter
                shown.append(self._place_word(columns))
            else:
                self._word += letter
                if width(self._word) >= columns:
                    shown.append(self._place_word(columns, is_whole=False))
        return "".join(shown)

    def flush(self, columns: int) -> str:
        """What was held back."""
        shown = self._place_word(columns) + self._gap
        self._column, self._gap = self._after(self._gap), ""
        return shown

    def _place_word(self, columns: int, is_whole: bool = True) -> str:
        word, gap = self._word, self._gap
        if not word:
            self._goes_on = False
            return ""
        end = self._after(gap) + width(word)
        breaks = end > columns and self._column > 0 and not self._goes_on
        self._word, self._gap, self._goes_on = "", "", not is_whole
        # The terminal has broken what is longer than its line.
        self._column = ((width(word) if breaks else end) - 1) % columns + 1
        return f"\n{word}" if breaks else gap + word

    def _after(self, gap: str) -> int:
        """The column behind `gap`."""
        column = self._column
        for blank in gap:
            column += _TAB - column % _TAB if blank == "\t" else 1
        return column


def wrapped(text: str, columns: int) -> str:
    """One line, broken into several if it is too long. A command to type, which follows a colon, is
    left whole: copied from the screen, it must be one line. It begins a line if it does not fit
    behind the words before it."""
    *words, command = (
        re.split(_COMMAND, text, maxsplit=1) if re.search(_COMMAND, text) else [text, ""]
    )
    prose = _wrapped_prose("".join(words), columns)
    if not command:
        return prose
    fits = width(prose.rpartition("\n")[2] + command) <= columns
    return prose + command if fits else f"{prose.rstrip()}\n{command}"


def _wrapped_prose(text: str, columns: int) -> str:
    wrap = WordWrap()
    return wrap.feed(text, columns) + wrap.flush(columns)


def shortened(text: str, columns: int) -> str:
    """One line of at most so many columns; `…` stands for what is left out."""
    if width(text) <= columns:
        return text
    while text and width(text) >= columns:
        text = text[:-1]
    return f"{text}…" if columns > 0 else ""


def width(text: str) -> int:
    """How many columns a terminal needs for a text without tabs and control characters."""
    return sum(map(_width, text)) + text.count(_EMOJI_STYLE)


def _width(letter: str) -> int:
    if letter.isascii():
        return 1
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
