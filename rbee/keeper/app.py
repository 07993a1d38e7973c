"""The keeper's wiring: settings, the screen, and one command at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from rbee.contract.errors import Internal, InvalidRequest, RbeeError
from rbee.contract.models import NodeDownload, NodeModel
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import decode
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.settings import KeeperSettings, of
from rbee.runtime import paths
from rbee.runtime import settings as configuration

Command: TypeAlias = Callable[[KeeperSettings, Screen], Coroutine[Any, Any, int]]


def run(command: Command, screen: Screen) -> int:
    """Run a command with the effective settings; returns the exit code."""
    try:
        settings = of(configuration.load())
        code = asyncio.run(command(settings, screen))
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except BrokenPipeError:  # nobody reads any more: `| head -1`
        code = 1
    except KeyboardInterrupt:
        screen.note("Canceled.")
        code = 130
    except Exception:
        screen.error(_unexpected())
        code = 1
    return _flush(code)


def infer(fields: dict[str, object], prompt: str, raw: bool, screen: Screen) -> int:
    """`rbee-keeper infer`. `fields` are the task's, None where the flag was not given."""
    content: dict[str, object] = (
        {"prompt": prompt} if raw else {"messages": [{"role": "user", "content": prompt}]}
    )
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        request = decode(_text({**content, **given}), TaskRequest)
    except InvalidRequest as error:
        screen.error(error)
        return 2

    from rbee.keeper.commands.infer import infer as ask

    return run(lambda settings, shown: ask(settings, request, shown), screen)


def _text(fields: object) -> bytes:
    """As JSON. Bytes of argv that are no UTF-8 become a substitute, as they do on a terminal."""
    text = json.dumps(fields, ensure_ascii=False)
    return text.encode(errors="surrogateescape").decode(errors="replace").encode()


def daemon(action: str) -> int:
    """`rbee-keeper daemon start|stop|status`."""
    from rbee.keeper.commands import daemon as commands

    actions = {"start": commands.start, "stop": commands.stop, "status": commands.status}
    return run(actions[action], Screen())


def models(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper models …`. `fields` are what the queen is asked with."""
    from rbee.keeper.commands import models as commands

    given = {name: value for name, value in fields.items() if value is not None}
    listings = {"list": commands.listing, "disk-usage": commands.disk_usage}
    if action in listings:
        node = str(given["node"]) if "node" in given else None
        return run(lambda settings, shown: listings[action](settings, shown, node), screen)
    try:
        if action == "download":
            wanted = decode(_text(given), NodeDownload)
            return run(lambda settings, shown: commands.download(settings, shown, wanted), screen)
        asked = decode(_text(given), NodeModel)
    except InvalidRequest as error:
        screen.error(error)
        return 2
    others = {"info": commands.info, "verify": commands.verify, "delete": commands.delete}
    return run(lambda settings, shown: others[action](settings, shown, asked), screen)


def _unexpected() -> Internal:
    """A fault of ours: the trail goes to the log, and its mark to the person."""
    mark = secrets.token_hex(8)
    with (
        contextlib.suppress(RbeeError, OSError),
        paths.log_file("rbee-keeper").open("a", encoding="utf-8") as log,
    ):
        log.write(f"[{mark}] {traceback.format_exc()}\n")
    return Internal(correlation_id=mark)


def _flush(code: int) -> int:
    """Nothing may fail any more after this, not even a closed pipe at interpreter exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
