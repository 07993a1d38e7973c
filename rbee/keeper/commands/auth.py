"""`rbee-keeper auth create|change|list|revoke`: keys with names."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidRequest
from rbee.contract.keys import ChangeKey, CreateKey, KeyRow
from rbee.keeper.commands.runner import (
    message,
    queen_command,
    request_or_exit,
    run_with_queen,
    screen_of,
)
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.runtime import bind
from rbee.runtime.client import address
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_HEADS = (
    "NAME",
    "KEY",
    "ROLE",
    "LIMIT",
    "QUEUE LIMIT",
    "WEIGHT",
    "MODELS",
    "CREATED",
    "LAST USED",
)
_NAME = "Expected a letter or digit, then letters, digits, . _ or -, at most 63 in all"
_MAY = {"use": "ask models and list them", "manage": "do everything"}


def create(**flags: object) -> NoReturn:
    """Have a key made. The key alone goes to standard output."""
    screen = screen_of(flags)

    def make() -> CreateKey:
        try:
            return message(CreateKey, flags)
        except InvalidRequest as error:
            raise _in_words(error) from None

    request = request_or_exit(make, flags, screen)
    run_with_queen(lambda queen: _create(queen, screen, request), screen)


def change(name: str, **flags: object) -> NoReturn:
    """Change the limits or the weight of a key."""
    screen = screen_of(flags)

    given = {each: value for each, value in flags.items() if value is not None}
    wanted = {each: None if value == "none" else value for each, value in given.items()}
    request = request_or_exit(
        lambda: message(ChangeKey, wanted, keep_none=True), flags, screen, kind=ChangeKey
    )
    run_with_queen(lambda queen: _change(queen, screen, name, request), screen)


@queen_command
async def show_list(queen: Queen, screen: Screen) -> None:
    """List the keys with names."""
    rows = (await queen.client.call(ep.QUEEN_KEYS)).keys
    screen.listing(rows, table(_HEADS, [_cells(row) for row in rows]) if rows else "")
    if not rows:
        screen.note("No key has a name yet. Create one: rbee-keeper auth create NAME")


@queen_command
async def revoke(queen: Queen, screen: Screen, name: str) -> None:
    """Revoke a key, and end what it asked for."""
    done = await queen.client.call(ep.QUEEN_KEY_REVOKE, name=name)
    screen.say(done.message)


async def _create(queen: Queen, screen: Screen, request: CreateKey) -> None:
    made = await queen.client.call(ep.QUEEN_KEY_CREATE, request)
    screen.note(f"[{PROGRAM}] 🔑 {_described(made)}")
    screen.answer(made, made.key)
    screen.note("→ This is the only time that the key is shown. To use it on another machine, keep")
    screen.note("  it there in a file that only you can read, and write into its config file:")
    host, port = address(queen.client.url)
    is_here = bind.is_loopback(host)
    url = bind.url("HOST", port) if is_here else queen.client.url
    for line in ("[queen]", f'url = "{url}"', "[auth]", 'api_key_file = "FILE"'):
        screen.note(f"    {line}")
    if is_here:
        screen.note(
            f"→ The queen listens on {host} only. To let other machines reach it, set [queen] "
            "host to an address of this machine, and start it: rbee-keeper daemon start"
        )


async def _change(queen: Queen, screen: Screen, name: str, request: ChangeKey) -> None:
    row = await queen.client.call(ep.QUEEN_KEY_CHANGE, request, name=name)
    screen.answer(row, _described(row))


def _described(row: KeyRow) -> str:
    limit = "" if row.limit is None else f"; at most {row.limit} of its tasks at once"
    whose = "its tasks" if row.limit is None else "them"
    waiting = "" if row.queue_limit is None else f"; at most {row.queue_limit} of {whose} wait"
    weight = "" if row.weight == 1 else f"; weight {row.weight:g}"
    models = f"; only {', '.join(row.models)}" if row.models else ""
    return f"{row.name} may {_MAY[row.role]}{limit}{waiting}{weight}{models}"


def _in_words(error: InvalidRequest) -> InvalidRequest:
    """The same error without a regular expression."""
    [wrong] = error.details["errors"]
    words = _NAME if "regex" in wrong["message"] else wrong["message"]
    return InvalidRequest.of(wrong["field"], wrong["constraint"], words, wrong["value"])


def _cells(row: KeyRow) -> tuple[str, ...]:
    """The times are local."""
    return (
        row.name,
        f"{row.prefix}…",
        row.role,
        *("none" if each is None else str(each) for each in (row.limit, row.queue_limit)),
        f"{row.weight:g}",
        ", ".join(row.models) or "all",
        _at(row.created_unix),
        "never" if row.last_used_unix is None else _at(row.last_used_unix),
    )


def _at(unix: int) -> str:
    return f"{datetime.fromtimestamp(unix):%Y-%m-%d %H:%M}"
