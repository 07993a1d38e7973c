"""The queen's list of tasks and decisions, beside what the streams of the tasks were told."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from harness.watching import keeper_output
from harness.world.http_client import EventStream
from harness.world.run import Run

_BUSY = ["the only slot is busy"]
_NEAR_S = 5.0


def id_of(stream: EventStream) -> str:
    return str(stream.named("accepted")[0].data["request_id"])


def by_position(waiting: Sequence[tuple[str, EventStream]]) -> list[tuple[str, EventStream]]:
    """Names and streams, as their last events say who is next."""
    return sorted(waiting, key=lambda each: each[1].named("queued")[-1].data["position"])


def rows(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run.stdout.text)
    return found


def complaints(
    found: Sequence[dict[str, Any]],
    running: tuple[str, EventStream],
    waiting: Sequence[tuple[str, EventStream]],
    worker: dict[str, Any],
    now_unix: float,
) -> Iterator[str]:
    """Whatever differs from what the streams were told, and from the clock."""
    wanted = [_wanted(*running, worker, "running", None)]
    for name, stream in by_position(waiting):
        place = stream.named("queued")[-1].data["position"]
        wanted.append(_wanted(name, stream, worker, "waiting", place))
    measured = ("since_unix", "waited_s", "reasons")
    told = [{key: row[key] for key in row if key not in measured} for row in found]
    if told != wanted:
        yield f"{told}, and the streams were told {wanted}"
    for row in found:
        age_s = now_unix - row["since_unix"]
        waits = row["state"] == "waiting"
        if not 0 <= age_s < 60 or (waits and abs(age_s - row["waited_s"]) > _NEAR_S):
            yield f"it came {age_s:.1f} s ago: {row}"
        if not waits and not 0 <= row["waited_s"] < _NEAR_S:
            yield f"it had not to wait: {row}"
        if (row["reasons"] == _BUSY) != waits or not row["reasons"]:
            yield f"its reasons: {row}"


def _wanted(
    name: str, stream: EventStream, worker: dict[str, Any], state: str, position: int | None
) -> dict[str, Any]:
    runs = state == "running"
    return {
        "request_id": id_of(stream),
        "state": state,
        "key": name,
        "model": worker["model_ref"],
        "node": "localhost" if runs else None,
        "worker_id": worker["id"] if runs else None,
        "position": position,
    }


def table_rows(run: Run) -> dict[str, list[str]]:
    """The cells of each row, by the id in its first one."""
    listed = keeper_output.rows(run.stdout.text)
    assert listed.pop("ID", None) is not None, run.stdout.text
    return listed
