"""Queen, hive and workers of a world together: what they say of themselves, and their pids.

A pid is never taken from what a program says: it is the process that listens at the address, or the
one that was started with the role's command line, as /proc has them.
"""

import contextlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import psutil

from harness.world.http_client import EventStream, Reply, call
from harness.world.processes import listeners
from harness.world.waiting import NeverHappenedError, wait_until
from harness.world.world import World


def queen_health(world: World) -> dict[str, Any]:
    return dict(call("GET", f"{world.queen_url}/health").json)


def workers(world: World) -> list[dict[str, Any]]:
    """The hive's rows."""
    reply = world.call("GET", f"{world.hive_url}/v1/workers/list")
    assert reply.status == 200, reply
    return list(reply.json["workers"])


def workers_or_none(world: World) -> list[dict[str, Any]]:
    """Also empty while there is no hive, or no key to ask it with."""
    return workers(world) if world.key_file.exists() else []


def queens_workers(world: World) -> list[dict[str, Any]]:
    """The queen's rows."""
    reply = world.call("GET", f"{world.queen_url}/v2/workers/list")
    assert reply.status == 200, reply
    return list(reply.json["workers"])


def only_worker(world: World) -> dict[str, Any]:
    rows = workers(world)
    assert len(rows) == 1, f"one worker was expected: {rows}"
    return rows[0]


def spawn(world: World, model: str, backend: str = "cpu") -> str:
    """Return the url of a new worker, once it is ready."""
    body = {"model": model, "backend": backend, "device": 0}
    reply = world.call("POST", f"{world.hive_url}/v1/workers/spawn", body, timeout=30)
    assert reply.status < 300, (reply.status, reply.body)
    url = str(reply.json["url"])
    wait_until(
        f"the worker for {model} to be ready",
        lambda: world.call("GET", f"{url}/v1/ready").json,
        60,
        lambda seen: seen["ready"],
    )
    return url


def model_of(world: World, url: str) -> dict[str, Any]:
    """Return what a worker says about its model."""
    reply = world.call("GET", f"{url}/v1/model")
    assert reply.status == 200, (reply.status, reply.body)
    return dict(reply.json)


def infer(world: World, url: str, tokens: int) -> EventStream:
    """Return a greedy answer of a worker, once it is complete."""
    body = {"prompt": "Once upon a time", "max_tokens": tokens, "temperature": 0}
    stream = world.stream("POST", f"{url}/v1/inference", {**body, "ignore_eos": True})
    assert stream.refused is None, stream.refused
    stream.wait_for_end(60)
    return stream


def send_task(world: World, task: Mapping[str, Any]) -> EventStream:
    """Send a task to the queen, which must not refuse it."""
    stream = world.stream("POST", f"{world.queen_url}/v2/tasks", task)
    assert stream.refused is None, stream.refused
    return stream


def ask(world: World, task: dict[str, Any]) -> float:
    """Send a task to the queen and wait for the whole answer. Returns when that was, in seconds
    since the epoch."""
    stream = send_task(world, task)
    stream.wait_for_end(60)
    assert stream.events[-2].name == "done", stream.events[-3:]
    return time.time()


def now_unix() -> float:
    """The time as the programs' rows have it."""
    return time.time()


def process_at(world: World, url: str) -> psutil.Process:
    parts = urlsplit(url)
    process = world.listening((str(parts.hostname), parts.port or 80))
    assert process, f"no process of this world listens at {url}"
    return process


def processes(world: World) -> dict[str, psutil.Process]:
    """Return queen, hive and the only worker."""
    return {
        "queen": process_at(world, world.queen_url),
        "hive": process_at(world, world.hive_url),
        "worker": process_at(world, only_worker(world)["url"]),
    }


def wait_for_state(world: World, state: str, within: float = 10) -> dict[str, Any]:
    """Wait until the hive lists its only worker in that state."""
    rows = wait_until(
        f"one worker, and that {state}",
        lambda: workers(world),
        within,
        lambda seen: [row["state"] for row in seen] == [state],
    )
    return rows[0]


def queens(world: World) -> list[psutil.Process]:
    """Return every process of this world that answers as a queen, on whatever port."""
    found = set()
    for (host, port), process in listeners(world.processes()).items():
        reply = call("GET", f"http://{host}:{port}/health")
        if reply.status == 200 and reply.json.get("program") == "queen-rbee":
            found.add(process)
    return list(found)


DAEMONS = {"queen": "daemon", "hive": "daemon", "worker": "--model"}


def role_of(world: World, process: psutil.Process) -> str | None:
    """`queen`, `hive` or `worker`; None for anything else, such as a short command."""
    for role, argument in DAEMONS.items():
        with contextlib.suppress(psutil.Error):
            if world.commands.runs(role, argument, process):
                return role
    return None


def standby(world: World) -> list[psutil.Process]:
    """Return the processes that were started to become workers, and are none yet."""
    return [each for each in world.processes() if _stands_by(world, each)]


def _stands_by(world: World, process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return world.commands.runs("worker", "--standby", process)
    return False


def _renders_for_a_worker(world: World, process: psutil.Process) -> bool:
    """Whether it is the process in which a worker renders chat templates: a part of the worker."""
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return (
            process.cmdline()[-1:] == ["chat-templates"]
            and parent is not None
            and (role_of(world, parent) == "worker" or _stands_by(world, parent))
        )
    return False


def at_work(world: World) -> set[psutil.Process]:
    """Return every process of the world but the standby workers, which come and go alone, and those
    that render templates for a worker that lives.

    The hive may just have started one, which can't be told from others before it has exec'd: 2 s
    are enough for that. Whatever has no command line of its own then is at work.
    """
    working: set[psutil.Process] = set()

    def starting() -> list[psutil.Process]:
        seen = world.processes()
        new = [each for each in seen if world.commands.is_starting(each)]
        working.clear()
        working.update(
            each
            for each in seen
            if not _stands_by(world, each) and not _renders_for_a_worker(world, each)
        )
        return new

    with contextlib.suppress(NeverHappenedError):
        wait_until("every process to have exec'd", starting, 2, lambda new: not new)
    return working


def processes_of(world: World, role: str) -> list[psutil.Process]:
    return [process for process in world.processes() if role_of(world, process) == role]


def wait_for_role(world: World, role: str, within: float = 20) -> psutil.Process:
    """Return the process with that role, as soon as there is one."""
    return wait_until(f"a {role} to be started", lambda: processes_of(world, role), within)[0]


class Download:
    """A download that is started and then watched. `reply` is the answer to the request."""

    def __init__(self, world: World, model: str, hive: str = "", **fields: object) -> None:
        self._hive = hive or world.hive_url
        body = {"model": world.expand(model), **fields}
        self.reply: Reply = world.call("POST", f"{self._hive}/v1/models/download", body, 30)
        assert self.reply.status < 300, (self.reply.status, self.reply.body)
        self.id = str(self.reply.json["download_id"])
        self._world = world
        self.stream = self.watch()

    def watch(self) -> EventStream:
        """Open one more progress stream."""
        url = f"{self._hive}/v1/models/download/progress?id={self.id}"
        stream = self._world.stream("GET", url)
        assert stream.refused is None, stream.refused
        return stream

    def events_of(self, stage: str) -> list[dict[str, Any]]:
        return [e.data for e in self.stream.named("download") if e.data["stage"] == stage]

    def wait_for_end(self, within: float) -> None:
        self.stream.wait_for_end(within)
        assert not self.stream.named("error"), self.stream.events[-3:]
