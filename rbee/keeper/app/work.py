"""Models and answers: `infer`, `models …`, and the daemon that keeps them."""

from __future__ import annotations

from rbee.contract.models import NodeDownload, NodeModel
from rbee.contract.tasks import TaskRequest
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.app.running import ask, run


def infer(fields: dict[str, object], prompt: str, raw: bool, screen: Screen) -> int:
    """`rbee-keeper infer`. `fields` are the task's, None where the flag was not given."""
    from rbee.keeper.commands.infer import infer as command

    content: dict[str, object] = (
        {"prompt": prompt} if raw else {"messages": [{"role": "user", "content": prompt}]}
    )
    return ask(command, TaskRequest, content | fields, screen)


def daemon(action: str) -> int:
    """`rbee-keeper daemon start|stop|status`."""
    from rbee.keeper.commands import daemon as commands

    actions = {"start": commands.start, "stop": commands.stop, "status": commands.status}
    return run(actions[action], Screen())


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
