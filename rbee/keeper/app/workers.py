"""Workers by themselves, and what they log and run on: `worker …`, `logs`, `detect`."""

from __future__ import annotations

from rbee.contract.logs import LogQuery
from rbee.contract.workers import StartWorker, WorkerName
from rbee.keeper.app.running import ask, run
from rbee.runtime.screen import Screen


def worker(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper worker start|stop|list|health`. `fields` are the flags, None where not given."""
    from rbee.keeper.commands import worker as commands

    if action == "start":
        return ask(commands.start, StartWorker, fields, screen)
    if action == "stop":
        return ask(commands.stop, WorkerName, fields, screen)
    node = None if fields["node"] is None else str(fields["node"])
    listings = {"list": commands.listing, "health": commands.health}
    return run(lambda settings, shown: listings[action](settings, shown, node), screen)


def logs(fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper logs`."""
    from rbee.keeper.commands.logs import logs as command

    return ask(command, LogQuery, fields, screen)


def detect(node: str | None, screen: Screen) -> int:
    """`rbee-keeper detect`."""
    from rbee.keeper.commands import detect as commands

    if node is None:
        return run(commands.here, screen)
    return run(lambda settings, shown: commands.there(settings, shown, node), screen)
