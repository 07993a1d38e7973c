"""`infer`: one question, or a chat."""

from __future__ import annotations

from msgspec.structs import replace

from rbee.contract.tasks import TaskRequest
from rbee.keeper.app.running import ask
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.screen import Screen


def infer(
    fields: dict[str, object], prompt: str, system: str | None, raw: bool, screen: Screen
) -> int:
    """`rbee-keeper infer`. `fields` are the task's, None where the flag was not given."""
    from rbee.keeper.commands.infer import infer as command

    content: dict[str, object] = {"prompt": prompt}
    if not raw:
        said = [{"role": "user", "content": prompt}]
        content = {"messages": [*_beginning(system), *said]}
    return ask(command, TaskRequest, content | fields, screen)


def chat(fields: dict[str, object], first: str | None, system: str | None, screen: Screen) -> int:
    """`rbee-keeper infer --interactive`; `first` is a question that was asked already."""
    from rbee.keeper.commands.chat import chat as command

    async def begin(settings: KeeperSettings, shown: Screen, request: TaskRequest) -> int:
        said = (request.messages or [])[:-1]
        return await command(settings, shown, replace(request, messages=said), first)

    # Checked now, with a question in the place of those that are still to come.
    content = {"messages": [*_beginning(system), {"role": "user", "content": first or "?"}]}
    return ask(begin, TaskRequest, content | fields, screen)


def _beginning(system: str | None) -> list[dict[str, str]]:
    return [] if system is None else [{"role": "system", "content": system}]
