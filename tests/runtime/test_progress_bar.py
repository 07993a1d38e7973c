"""What the progress bar shows of a download, a load and a verification, and that it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.events import Download, Loading, Prefill, Verify
from rbee.runtime.progress_bar import line, position

MB = 1_000_000
FROM_NODE = Download("downloading", 12 * 1_000_000, 98 * 1_000_000, 10.24, from_node="gpu-1\x1b[2J")
HALF = Download("downloading", 49 * MB, 98 * MB, 10.24)


def words(event: Download | Loading | Verify) -> str:
    place = position(event)
    assert place is not None
    return place.words[0]


def test_a_download_shows_its_size_its_speed_and_the_time_left() -> None:
    place = position(Download("downloading", 12 * MB, 98 * MB, 10.24))
    assert place is not None
    assert (place.name, place.done, place.total) == ("downloading", 12 * MB, 98 * MB)
    assert place.words[0] == "12 %  12/98 MB, 10.2 MB/s, 0:08 left"


@pytest.mark.parametrize(
    ("size", "speed", "left"),
    [(60, 1.0, "1:00 left"), (3600, 1.0, "1:00:00 left"), (45_296, 1.0, "12:34:56 left")],
)
def test_time_left_is_in_minutes_or_hours(size: int, speed: float, left: str) -> None:
    assert words(Download("downloading", 0, size * MB, speed)).endswith(left)


@pytest.mark.parametrize("speed", [None, 0.0, 0.01])
def test_without_progress_no_time_left_is_shown(speed: float | None) -> None:
    assert "left" not in words(Download("downloading", 1 * MB, 98 * MB, speed))


def test_a_verification_shows_its_size() -> None:
    place = position(Verify("hashing", "/m.gguf", 49 * MB, 98 * MB))
    assert place is not None
    assert (place.name, place.done, place.total) == ("verifying", 49 * MB, 98 * MB)
    assert place.words[0] == "50 %  49/98 MB"


def test_a_load_shows_its_layers_and_its_memory() -> None:
    place = position(Loading("loading_to_vram", 3, 30, 12.5))
    assert place is not None
    assert (place.name, place.done, place.total) == ("loading", 3, 30)
    assert place.words[0] == "3/30 layers, 12 MB"


def test_a_long_prompt_shows_its_tokens() -> None:
    place = position(Prefill(1024, 5000, 512))
    assert place is not None
    assert (place.name, place.done, place.total) == ("reading the prompt", 1024, 5000)
    assert place.words == ("1,024 of 5,000 tokens", "1,024/5,000", "20 %")


def test_a_download_of_unknown_size_is_at_0_percent() -> None:
    assert words(Download("downloading")) == "0 %  0/0 MB, 0.0 MB/s"


def test_a_bar_that_is_nearly_full_does_not_say_100_percent() -> None:
    assert words(Download("downloading", 98 * MB - 1, 98 * MB, 1)).startswith("99 %")


def test_a_wide_terminal_shows_everything_in_79_columns() -> None:
    place = position(HALF)
    assert place is not None
    drawn = line(place, 200)
    assert len(drawn) == 79
    assert drawn.startswith("downloading ━")
    assert drawn.endswith("─ 50 %  49/98 MB, 10.2 MB/s, 0:05 left")
    assert drawn.count("━") in (drawn.count("─"), drawn.count("─") - 1)


def test_40_columns_have_a_bar_percentage_speed_and_time_left() -> None:
    place = position(Download("downloading", 20_000 * MB, 40_000 * MB, 110.2))
    assert place is not None
    drawn = line(place, 40)
    assert len(drawn) == 39
    assert drawn.startswith("━━━")
    assert drawn.endswith("50 %, 110.2 MB/s, 3:01 left")


@given(
    st.integers(0, 300),
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.floats(0, 10**5),
    st.sampled_from(["downloading", "loading", "verifying", "reading"]),
)
def test_no_line_is_as_wide_as_the_terminal(
    columns: int, done: int, total: int, speed: float, kind: str
) -> None:
    place = position(
        {
            "downloading": Download("downloading", done, total, speed),
            "loading": Loading("loading_to_vram", done, total, speed),
            "verifying": Verify("hashing", "/m", done, total),
            "reading": Prefill(done, total, 0),
        }[kind]
    )
    assert place is not None
    drawn = line(place, columns)
    assert len(drawn) <= max(columns - 1, 0)
    assert "\n" not in drawn


@pytest.mark.parametrize("last", [Download("complete"), Loading("ready"), Verify("complete")])
def test_the_last_event_of_the_work_has_no_bar(last: Download | Loading | Verify) -> None:
    assert position(last) is None


def test_the_node_that_sends_the_model_is_named_and_its_name_is_only_shown() -> None:
    place = position(FROM_NODE)
    assert place is not None
    assert place.name.startswith("downloading from gpu-1")
    assert "\x1b" not in place.name
