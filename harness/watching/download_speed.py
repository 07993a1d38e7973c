"""How fast a download was, by the harness's own clock and the Hub's own bytes."""

from harness.hub.hub import Hub
from harness.world.http_client import EventStream

_LONG_ENOUGH_S = 0.6
_TOLERANCE = 0.25


def ratios(stream: EventStream) -> list[float]:
    """Return, for each report, the speed that it says divided by the speed at which the bytes came
    from the second report on: the first one may be told late, to one who comes when it has been
    made. Early reports, of which the clock says little, are left out."""
    reports = [event for event in stream.named("download") if event.data["stage"] == "downloading"]
    first = reports[1]
    found = []
    for each in reports:
        took = each.at - first.at
        if took >= _LONG_ENOUGH_S:
            came = each.data["bytes_downloaded"] - first.data["bytes_downloaded"]
            found.append(each.data["speed_mbps"] / (came / took / 1_000_000))
    assert len(found) >= 3, reports
    return found


def assert_as_sent(mb_per_s: float, hub: Hub) -> None:
    """Compare a speed with that of the whole transfer, which the Hub's pace keeps even."""
    (sent,) = hub.log.transfers()
    assert sent.ended_at is not None, sent
    known = sent.sent / (sent.ended_at - sent.at) / 1_000_000
    assert abs(mb_per_s - known) < _TOLERANCE * known, (mb_per_s, known)
