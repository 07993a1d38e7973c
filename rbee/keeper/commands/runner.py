"""How a command runs: from the flags that click has parsed to an exit code.

Each command is a coroutine function, and a decorator makes of it the function that `cli/` calls
with click's flags. `quiet` and `--json` are flags of the screen; the others are the command's own,
and None is a flag that was not given.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import click

from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.validation import decode
from rbee.keeper.settings import KeeperSettings, of
from rbee.runtime import settings as configuration
from rbee.runtime.command import WRONG_USAGE, run
from rbee.runtime.screen import Screen

if TYPE_CHECKING:
    from rbee.keeper.session.queen import Queen

M = TypeVar("M")

Flags: TypeAlias = dict[str, object]
Command: TypeAlias = Callable[..., NoReturn]
Work: TypeAlias = Coroutine[Any, Any, int | None]

PROGRAM = "rbee-keeper"


def command(work: Callable[..., Work]) -> Command:
    """A command that wants the settings: `work(settings, screen, **flags)`."""

    @functools.wraps(work)
    def call(**flags: object) -> NoReturn:
        screen = screen_of(flags)
        run_configured(lambda settings: work(settings, screen, **flags), screen)

    return call


def queen_command(work: Callable[..., Work]) -> Command:
    """A command that asks the queen: `work(queen, screen, **flags)`."""

    @functools.wraps(work)
    def call(**flags: object) -> NoReturn:
        screen = screen_of(flags)
        run_with_queen(lambda queen: work(queen, screen, **flags), screen)

    return call


def queen_request(
    kind: type[M],
    keeps_queen: Callable[[M], bool] = lambda _: False,
    needs_hive: Callable[[M], bool] = lambda _: False,
) -> Callable[[Callable[[Queen, Screen, M], Work]], Command]:
    """A command that asks the queen with a message, which its flags make:
    `work(queen, screen, request)`. A queen that the request keeps runs until it is told to stop;
    `needs_hive` is for the request that needs the hive of this machine."""

    def decorate(work: Callable[[Queen, Screen, M], Work]) -> Command:
        @functools.wraps(work)
        def call(**flags: object) -> NoReturn:
            screen = screen_of(flags)
            request = request_or_exit(lambda: message(kind, flags), flags, screen, kind)
            run_with_queen(
                lambda queen: work(queen, screen, request),
                screen,
                keeps_queen(request),
                needs_hive(request),
            )

        return call

    return decorate


def run_with_queen(
    work: Callable[[Queen], Work], screen: Screen, keep: bool = False, with_hive: bool = False
) -> NoReturn:
    """Do `work` with the queen and exit. `keep` and `with_hive` are as for `with_queen`."""
    # Late: `install` needs no queen.
    from rbee.keeper.session.session import with_queen

    run_configured(lambda settings: with_queen(settings, screen, work, keep, with_hive), screen)


def run_configured(work: Callable[[KeeperSettings], Work], screen: Screen) -> NoReturn:
    """Do `work` with the effective settings and exit."""

    async def configured() -> int:
        return await work(of(configuration.load())) or 0

    sys.exit(run(PROGRAM, configured, screen))


def screen_of(flags: Flags) -> Screen:
    """The screen that the flags ask for; they are taken out. A command with `verbose` shows what is
    going on in one live line where it can. Errors name the flags as they are typed."""
    is_live = not flags.pop("verbose", True)
    streams = "as_events" in flags
    as_json = bool(flags.pop("as_events", False) or flags.pop("as_json", False))
    names = typed_names(flags)

    def as_typed(error: RbeeError) -> RbeeError:
        return _as_typed(error, names) if isinstance(error, InvalidRequest) else error

    return Screen(bool(flags.pop("quiet", False)), as_json, streams, is_live, as_typed)


def typed_names(flags: Mapping[str, object]) -> dict[str, str]:
    """How each flag is typed, and each argument: `--max-tokens`, `NAME`. A flag that is not of the
    command that click runs is called as its field. What may be typed as an argument or as a flag is
    called as it was typed."""
    names = {name: f"--{name.replace('_', '-')}" for name in flags}
    context = click.get_current_context(silent=True)
    if context is not None:
        names |= _spelled(context)
    names["messages"] = names.get("prompt", "PROMPT")
    names["response_format"] = names.get("schema", "--format")
    return names


def _spelled(context: click.Context) -> dict[str, str]:
    names = {str(each.name): max(each.opts, key=len) for each in context.command.params}
    flags = set(names.values())
    for each in context.command.params:
        if isinstance(each, click.Argument):
            name = str(each.name)
            is_flag = context.params.get(name) is None and f"--{name}" in flags
            names[name] = f"--{name}" if is_flag else each.human_readable_name.strip("[].")
    return names


def request_or_exit(
    make: Callable[[], M],
    flags: Mapping[str, object],
    screen: Screen,
    kind: type[M] | None = None,
) -> M:
    """The message that `make` makes of the flags; when it is not valid, the error is shown and the
    program exits. `kind` is the message's type."""
    try:
        return make()
    except InvalidRequest as error:
        screen.error(_as_typed(error, typed_names(flags), kind))
        sys.exit(WRONG_USAGE)


def _as_typed(
    error: InvalidRequest, names: Mapping[str, str], kind: type[Any] | None = None
) -> InvalidRequest:
    from rbee.keeper.commands.flag_errors import for_command_line

    return for_command_line(error, names, kind)


def message(kind: type[M], fields: Mapping[str, object], keep_none: bool = False) -> M:
    """The message that `fields` make; None is left out, unless it is kept as a value. Raises
    INVALID_REQUEST."""
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest.of(name, "number", "Expected a number", str(value))
    given = {name: value for name, value in fields.items() if keep_none or value is not None}
    # Bytes of argv that are not UTF-8 become a substitute, as they do on a terminal.
    text = json.dumps(given, ensure_ascii=False).encode(errors="surrogateescape")
    return decode(text.decode(errors="replace").encode(), kind)
