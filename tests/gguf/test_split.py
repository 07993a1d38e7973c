"""The names of a split model's parts; the `gguf` package's own form is the second opinion."""

from __future__ import annotations

import pytest
from gguf.gguf_writer import SHARD_NAME_FORMAT
from hypothesis import given
from hypothesis import strategies as st

from rbee.gguf import split

ORDINARY = [
    "m.gguf",
    "m",
    "",
    "m.bin",
    "m-00000-of-00003.gguf",
    "m-00004-of-00003.gguf",
    "m-00001-of-00000.gguf",
    "m-1-of-3.gguf",
    "m-000001-of-000003.gguf",
    "m-00001-of-100000.gguf",
    "m-00001-of-01001.gguf",
    "m-00001-of-00003.bin",
    "m-00001-of-00003.gguf.part",
    "m_00001-of-00003.gguf",
    "m-0000\u0661-of-0000\u0663.gguf",
]


@given(
    stem=st.text(max_size=20), count=st.integers(2, 40), number=st.integers(1, 40), folder=st.text()
)
def test_every_part_names_the_whole_set_as_the_package_writes_it(
    stem: str, count: int, number: int, folder: str
) -> None:
    stem = f"{folder}/{stem}"
    names = [SHARD_NAME_FORMAT.format(stem, part, count) for part in range(1, count + 1)]
    number = min(number, count)
    name = names[number - 1]
    assert split.parts(name) == names
    assert split.place(name) == (number, count)
    assert split.is_first(name) is (number == 1)
    assert split.stem(name) == stem


@pytest.mark.parametrize("name", ORDINARY)
def test_a_name_that_is_not_a_parts_stands_alone(name: str) -> None:
    assert split.parts(name) == [name]
    assert split.place(name) == (1, 1)
    assert split.is_first(name)
    assert split.stem(name) == name.removesuffix(".gguf")


def test_the_only_part_of_one_stands_alone_and_has_the_stem_of_a_part() -> None:
    assert split.parts("m-00001-of-00001.gguf") == ["m-00001-of-00001.gguf"]
    assert split.stem("m-00001-of-00001.gguf") == "m"


def test_folders_stay_before_every_name() -> None:
    assert split.parts("Q8_0/m-00002-of-00002.gguf") == [
        "Q8_0/m-00001-of-00002.gguf",
        "Q8_0/m-00002-of-00002.gguf",
    ]
    assert split.stem("Q8_0/m-00002-of-00002.gguf") == "Q8_0/m"


def test_an_ending_in_capitals_is_kept_in_every_part() -> None:
    assert split.parts("M-00002-of-00002.GGUF") == [
        "M-00001-of-00002.GGUF",
        "M-00002-of-00002.GGUF",
    ]
    assert (split.stem("M-00002-of-00002.GGUF"), split.stem("M.GGUF")) == ("M", "M")


def test_only_the_last_numbers_of_a_name_count() -> None:
    name = "m-00001-of-00002-00003-of-00004.gguf"
    assert split.place(name) == (3, 4)
    assert split.stem(name) == "m-00001-of-00002"


def test_a_thousand_parts_are_named() -> None:
    names = split.parts("m-00001-of-01000.gguf")
    assert len(names) == 1_000
    assert names[-1] == "m-01000-of-01000.gguf"
