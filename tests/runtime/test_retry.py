"""How long to wait before each try."""

from __future__ import annotations

import pytest

from rbee.runtime.retry import doubling


@pytest.mark.parametrize(
    ("first_s", "attempts", "pauses"),
    [(0.2, 3, [0, 0.2, 0.4]), (0.1, 6, [0, 0.1, 0.2, 0.4, 0.8, 1.6]), (1, 1, [0])],
)
def test_the_first_try_is_at_once_and_the_pauses_double(
    first_s: float, attempts: int, pauses: list[float]
) -> None:
    assert list(doubling(first_s, attempts)) == pytest.approx(pauses)
