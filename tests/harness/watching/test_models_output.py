"""What the commands about models print, read back."""

import pytest

from harness.watching import models_output

_USAGE = """\
SIZE    REFERENCE
98 MB   hf:lab/smol/smol-Q4_1.gguf
9.5 MB  hf:lab/small/small.gguf
108 MB  total
localhost: 81.1 GB of 270.6 GB are free at /home/you/my models
"""
_INFO = """\
reference: hf:lab/smol/smol-Q4_1.gguf
memory needed: 118 MB (23.3 GB of 25.3 GB are free)

In the same repository:
QUANTIZATION  SIZE    FITS
Q4_1          98 MB   yes
F16           390.0 GB  no
"""


def test_disk_usage_has_the_rows_the_disk_and_the_folder() -> None:
    found = models_output.disk_usage(_USAGE)
    assert found.rows == [
        ("98 MB", "hf:lab/smol/smol-Q4_1.gguf"),
        ("9.5 MB", "hf:lab/small/small.gguf"),
        ("108 MB", "total"),
    ]
    assert (round(found.free_bytes), round(found.total_bytes)) == (81_100_000_000, 270_600_000_000)
    assert found.folder == "/home/you/my models"


def test_info_has_the_memory_and_what_else_there_is() -> None:
    found = models_output.memory_needed(_INFO)
    assert (found.needed, found.free_bytes, found.total_bytes) == ("118 MB", 23.3e9, 25.3e9)
    assert models_output.offered(_INFO) == [("Q4_1", "98 MB", "yes"), ("F16", "390.0 GB", "no")]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (9_949_999, "9.9 MB"),
        (14_878_880, "15 MB"),
        (9_999_400_000, "9999 MB"),
        (390_000_000_000, "390.0 GB"),
    ],
)
def test_a_size_is_shown_in_the_unit_that_is_easy_to_read(size: int, shown: str) -> None:
    assert models_output.megabytes(size) == shown


def test_a_text_without_the_words_is_an_error_that_shows_it() -> None:
    with pytest.raises(AssertionError, match="no such thing"):
        models_output.room("no such thing")
