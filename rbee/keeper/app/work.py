"""Models, and the daemon that keeps them: `models …` and `daemon …`."""

from __future__ import annotations

from rbee.contract.models import NodeDownload, NodeModel
from rbee.keeper.app.running import ask, run
from rbee.runtime.screen import Screen


def daemon(action: str, screen: Screen) -> int:
    """`rbee-keeper daemon start|stop|status`."""
    from rbee.keeper.commands import daemon as commands

    actions = {"start": commands.start, "stop": commands.stop, "status": commands.status}
    return run(actions[action], screen)


def models(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper models …`. `fields` are what the queen is asked with."""
    from rbee.keeper.commands import models as commands

    listings = {"list": commands.listing, "disk-usage": commands.disk_usage}
    if action in listings:
        node = str(fields["node"]) if fields["node"] is not None else None
        return run(lambda settings, shown: listings[action](settings, shown, node), screen)
    if action == "download":
        return ask(commands.download, NodeDownload, fields, screen)
    others = {"info": commands.info, "verify": commands.verify, "delete": commands.delete}
    return ask(others[action], NodeModel, fields, screen)
