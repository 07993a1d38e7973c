"""Messages about the tasks that wait and run, and about the decisions on them."""

from __future__ import annotations

from typing import Literal

import msgspec

TaskState = Literal["waiting", "starting", "running"]
Outcome = Literal["placed", "waits", "refused", "nowhere"]


class TaskRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task: `waiting` for a slot, `starting` where a node has been chosen, or `running` once a
    worker has accepted it. `key` is the name of the key that asked.

    `position` counts from 1 within the line of those that want the same; None if it does not wait
    for a slot. `node` is the one that it goes to, or, while it waits, the one that it asked for.
    `worker_id` is the worker that is its own, which may load yet. `waited_s` ends when it is
    placed. `reasons` say what it waits for, or why it is placed there.
    """

    request_id: str
    state: TaskState
    key: str
    model: str
    node: str | None
    worker_id: str | None
    position: int | None
    since_unix: float
    waited_s: float
    reasons: list[str]


class TaskRows(msgspec.Struct, frozen=True):
    """GET /v2/tasks: those that run, then those that start, then those that wait, the next one
    first."""

    tasks: list[TaskRow]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a task at a moment, or about a worker to start or a model to fetch,
    whose `request_id` is the correlation id of that request. `placed`: it goes to `node`, and there
    to `worker_id`, or has a worker found or started. `waits`: for a slot. `refused`: no more may
    wait. `nowhere`: no node can. `at_unix` is in seconds since the epoch."""

    at_unix: float
    request_id: str
    key: str
    model: str
    outcome: Outcome
    node: str | None = None
    worker_id: str | None = None
    reasons: list[str] = []


class Decisions(msgspec.Struct, frozen=True):
    """GET /v2/decisions: the last 200, the oldest first."""

    decisions: list[Decision]
