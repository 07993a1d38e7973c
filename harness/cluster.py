"""Queen, hive and workers of a world together: what they say of themselves, and their pids.

A pid is never taken from what a program says: it is who listens at the address, told by /proc.
"""

from typing import Any
from urllib.parse import urlsplit

import psutil

from harness.calls import call
from harness.processes import listeners
from harness.waiting import wait_until
from harness.world import World


def queen_health(world: World) -> dict[str, Any]:
    return dict(call("GET", f"{world.queen_url}/health").json)


def workers(world: World) -> list[dict[str, Any]]:
    """The hive's rows."""
    reply = world.call("GET", f"{world.hive_url}/v1/workers/list")
    assert reply.status == 200, reply
    return list(reply.json["workers"])


def queens_workers(world: World) -> list[dict[str, Any]]:
    """The queen's rows."""
    reply = world.call("GET", f"{world.queen_url}/v2/workers/list")
    assert reply.status == 200, reply
    return list(reply.json["workers"])


def only_worker(world: World) -> dict[str, Any]:
    rows = workers(world)
    assert len(rows) == 1, f"one worker was expected: {rows}"
    return rows[0]


def process_at(world: World, url: str) -> psutil.Process:
    parts = urlsplit(url)
    process = world.listening((str(parts.hostname), parts.port or 80))
    assert process, f"no process of this world listens at {url}"
    return process


def processes(world: World) -> dict[str, psutil.Process]:
    """Queen, hive and the only worker."""
    return {
        "queen": process_at(world, world.queen_url),
        "hive": process_at(world, world.hive_url),
        "worker": process_at(world, only_worker(world)["url"]),
    }


def wait_for_state(world: World, state: str, within: float = 10) -> dict[str, Any]:
    """Until the hive lists its only worker in that state."""
    rows = wait_until(
        f"one worker, and that {state}",
        lambda: workers(world),
        within,
        lambda seen: [row["state"] for row in seen] == [state],
    )
    return rows[0]


def queens(world: World) -> list[psutil.Process]:
    """Every process of this world that answers as a queen, on whatever port."""
    found = set()
    for (host, port), process in listeners(world.processes()).items():
        reply = call("GET", f"http://{host}:{port}/health")
        if reply.status == 200 and reply.json.get("program") == "queen-rbee":
            found.add(process)
    return list(found)
