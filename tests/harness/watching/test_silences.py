"""The judge of silences must tell a late comment, a hasty one, and one that never came."""

import pytest

from harness.watching.silences import judge


@pytest.mark.parametrize(
    ("events", "comments", "until"),
    [
        pytest.param([], [110.0, 120.1], 125.0, id="comments alone"),
        pytest.param([104.0], [114.0], 115.0, id="a comment after an event"),
        pytest.param([107.0, 115.0, 122.0], [], 123.0, id="events alone"),
        pytest.param([], [], 109.0, id="not silent for long yet"),
        pytest.param([], [110.0], 110.0, id="until its last comment"),
    ],
)
def test_silences_that_are_broken_in_time_pass(
    events: list[float], comments: list[float], until: float
) -> None:
    judge(100.0, events, comments, 10, until)


@pytest.mark.parametrize(
    ("events", "comments", "until", "told"),
    [
        pytest.param([], [], 114.0, "now after 14.0 s", id="no comment"),
        pytest.param([], [115.0], 116.0, "comment after 15.0 s", id="late"),
        pytest.param([], [110.0, 112.0], 113.0, "comment after 2.0 s", id="hasty"),
        pytest.param([104.0], [110.0], 111.0, "comment after 6.0 s", id="by the clock"),
        pytest.param([114.0], [], 115.0, "event after 14.0 s", id="an event, but late"),
        pytest.param([], [110.0], 124.0, "now after 14.0 s", id="one comment, then none"),
    ],
)
def test_others_do_not(events: list[float], comments: list[float], until: float, told: str) -> None:
    with pytest.raises(AssertionError, match="not comments after 10 s") as caught:
        judge(100.0, events, comments, 10, until)
    assert told in str(caught.value)
