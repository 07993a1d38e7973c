"""One command at a time: its message, the settings, and what becomes of any failure."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar

from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.validation import decode
from rbee.keeper.settings import KeeperSettings, of
from rbee.runtime import debug_trace
from rbee.runtime import settings as configuration
from rbee.runtime.command import INTERRUPTED, READER_GONE
from rbee.runtime.error_text import unexpected
from rbee.runtime.screen import Screen

M = TypeVar("M")

Command: TypeAlias = Callable[[KeeperSettings, Screen], Coroutine[Any, Any, int]]
Asking: TypeAlias = Callable[[KeeperSettings, Screen, M], Coroutine[Any, Any, int]]
WRONG_USAGE = 2


def run(command: Command, screen: Screen) -> int:
    """Run a command with the effective settings; returns the exit code."""

    async def configured() -> int:
        return await command(of(configuration.load()), screen)

    return unconfigured(configured, screen)


def unconfigured(work: Callable[[], Coroutine[Any, Any, int]], screen: Screen) -> int:
    """Run what can be done with a config file that can't be read, too; returns the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which asyncio takes over
    with debug_trace.traced(screen.note):
        try:
            code = asyncio.run(work())
        except RbeeError as error:
            screen.error(error)
            code = error.exit_code
        except BrokenPipeError:  # nobody reads any more: `| head -1`
            code = READER_GONE
        except KeyboardInterrupt:
            screen.note("Canceled.")
            code = INTERRUPTED
        except Exception as fault:
            screen.error(unexpected("rbee-keeper", fault))
            code = 1
    return _flush(code)


def ask(command: Asking[M], kind: type[M], fields: Mapping[str, object], screen: Screen) -> int:
    """Run a command with the message that `fields` make; None is a flag that was not given."""
    try:
        asked = message(kind, fields)
    except InvalidRequest as error:
        screen.error(_of_flag(error, fields))
        return WRONG_USAGE
    return run(lambda settings, shown: command(settings, shown, asked), screen)


def message(kind: type[M], fields: Mapping[str, object]) -> M:
    """The message that `fields` make. Raises INVALID_REQUEST."""
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest.of(name, "number", "Expected a number", str(value))
    return decode(_text({key: value for key, value in fields.items() if value is not None}), kind)


def _of_flag(error: InvalidRequest, fields: Mapping[str, object]) -> InvalidRequest:
    """The same of the flag, where a field is one."""
    [wrong] = error.details["errors"]
    if wrong["field"] not in fields:
        return error
    flag = "--" + wrong["field"].replace("_", "-")
    return InvalidRequest.of(flag, wrong["constraint"], wrong["message"], wrong["value"])


def _text(fields: object) -> bytes:
    """As JSON. Bytes of argv that are no UTF-8 become a substitute, as they do on a terminal."""
    text = json.dumps(fields, ensure_ascii=False)
    return text.encode(errors="surrogateescape").decode(errors="replace").encode()


def _flush(code: int) -> int:
    """Nothing may fail any more after this, not even a closed pipe at interpreter exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
