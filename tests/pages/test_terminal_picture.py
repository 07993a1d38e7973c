"""The picture in the README is drawn from lines of a screen."""

from __future__ import annotations

from xml.etree import ElementTree

from pages import terminal_picture

SCREEN = [
    "[queen-rbee] 💬 inference: a model answers on localhost",
    "Once upon a time & <then>",
    "20 tokens · 12 ms to first token · 99.0 tokens/s",
]


def rows() -> list[ElementTree.Element]:
    return ElementTree.fromstring(terminal_picture.draw(SCREEN)).findall("{*}text")


def test_the_picture_shows_the_command_and_every_line() -> None:
    texts = [" ".join(row.itertext()) for row in rows()]
    assert texts[0] == f"$ {terminal_picture.COMMAND}"
    assert texts[1:] == [" ".join(line.split()) for line in SCREEN]


def test_only_the_answer_is_bright() -> None:
    fills = [{piece.get("fill") for piece in row} for row in rows()[1:]]
    assert fills[0] == fills[2] != fills[1]


def test_an_emoji_takes_two_cells() -> None:
    places = [float(piece.get("x") or 0) for piece in rows()[1]]
    cell = (places[1] - places[0]) / len("[queen-rbee] ")
    assert round((places[2] - places[1]) / cell) == 3
