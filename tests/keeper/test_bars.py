"""What a bar shows of a download, a load and a verification."""

from __future__ import annotations

import pytest

from rbee.contract.events import Download, Loading, Verify
from rbee.keeper.adapters.bars import Bar, _position

MB = 1_000_000
HALF = Download("downloading", 49 * MB, 98 * MB, 10.24)


def test_a_download_shows_how_much_of_how_much_and_how_fast() -> None:
    position = _position(Download("downloading", 12 * MB, 98 * MB, 10.24))
    assert position is not None
    assert (position.name, position.done, position.total) == ("downloading", 12 * MB, 98 * MB)
    assert position.words == "12 %  12/98 MB, 10.2 MB/s"


def test_a_verification_shows_how_much_of_how_much() -> None:
    position = _position(Verify("hashing", "/m.gguf", 49 * MB, 98 * MB))
    assert position is not None
    assert (position.name, position.done, position.total) == ("verifying", 49 * MB, 98 * MB)
    assert position.words == "50 %  49/98 MB"


def test_a_load_shows_its_layers_and_its_memory() -> None:
    position = _position(Loading("loading_to_vram", 3, 30, 12.5))
    assert position is not None
    assert (position.name, position.done, position.total) == ("loading", 3, 30)
    assert position.words == "3/30 layers, 12 MB"


def test_of_nothing_no_part_is_done() -> None:
    position = _position(Download("downloading"))
    assert position is not None
    assert position.words == "0 %  0/0 MB, 0.0 MB/s"


def test_a_bar_that_is_nearly_full_is_not_told_as_full() -> None:
    position = _position(Download("downloading", 98 * MB - 1, 98 * MB, 1))
    assert position is not None
    assert position.words.startswith("99 %")


@pytest.mark.parametrize("last", [Download("complete"), Loading("ready"), Verify("complete")])
def test_the_last_event_of_a_work_takes_the_bar_away(last: Download | Loading | Verify) -> None:
    assert _position(last) is None
    bar = Bar()
    bar.show(HALF)
    assert bar.is_shown
    bar.show(last)
    assert not bar.is_shown


def test_one_bar_gives_way_to_the_next() -> None:
    bar = Bar()
    bar.show(HALF)
    first = bar._progress
    bar.show(HALF)
    assert bar._progress is first
    bar.show(Loading("loading_to_vram", 3, 30, 12.5))
    assert bar._progress is not first
    assert bar._progress is not None
    [task] = bar._progress.tasks
    assert (task.completed, task.total, task.description) == (3, 30, "loading")
    bar.end()
    bar.end()
    assert not bar.is_shown
