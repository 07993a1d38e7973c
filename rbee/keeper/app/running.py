"""One command at a time: its message, the settings, and what becomes of any failure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar

from rbee.contract.errors import Internal, InvalidRequest, RbeeError
from rbee.contract.validation import decode
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.settings import KeeperSettings, of
from rbee.runtime import paths
from rbee.runtime import settings as configuration

M = TypeVar("M")

Command: TypeAlias = Callable[[KeeperSettings, Screen], Coroutine[Any, Any, int]]
Asking: TypeAlias = Callable[[KeeperSettings, Screen, M], Coroutine[Any, Any, int]]
WRONG_USAGE = 2


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


def ask(command: Asking[M], kind: type[M], fields: Mapping[str, object], screen: Screen) -> int:
    """Run a command with the message that `fields` make; None is a flag that was not given."""
    try:
        asked = message(kind, fields)
    except InvalidRequest as error:
        screen.error(error)
        return WRONG_USAGE
    return run(lambda settings, shown: command(settings, shown, asked), screen)


def message(kind: type[M], fields: Mapping[str, object]) -> M:
    """The message that `fields` make. Raises INVALID_REQUEST."""
    return decode(_text({key: value for key, value in fields.items() if value is not None}), kind)


def _text(fields: object) -> bytes:
    """As JSON. Bytes of argv that are no UTF-8 become a substitute, as they do on a terminal."""
    text = json.dumps(fields, ensure_ascii=False)
    return text.encode(errors="surrogateescape").decode(errors="replace").encode()


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
