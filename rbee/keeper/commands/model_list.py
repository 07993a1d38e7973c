"""`rbee-keeper models list`: what a MODEL may be, on the nodes and by its alias.

This machine's models are listed without a queen too, by the hive's own program.
"""

from __future__ import annotations

import asyncio
import subprocess

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ProgramFailed
from rbee.contract.model_ref import ALIASES, DEFAULT
from rbee.contract.models import ModelRow, NodeModelRow, NodeModelRows
from rbee.contract.quantization import of_file
from rbee.contract.registry import LOCAL
from rbee.keeper.commands.runner import command
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import call_for, with_queen
from rbee.keeper.settings import KeeperSettings, address_of, of
from rbee.runtime import bind, paths
from rbee.runtime import settings as configuration
from rbee.runtime.listings import MODEL_HEADS, model_cells, table
from rbee.runtime.screen import Screen

_HIVE = "rbee-hive"
_WITHIN_S = 60.0


@command
async def show_list(settings: KeeperSettings, screen: Screen, node: str | None) -> int | None:
    """List every model, complete or not. No queen is started for this machine's."""
    if node in (None, LOCAL) and _has_no_queen(settings):
        found = await _without_queen(settings.config, everywhere=node is None)
        _tell(screen, found)
        _show(screen, found, settings.config, of_this_machine=True)
        return None
    return await with_queen(settings, screen, lambda queen: show_models(queen, screen, node))


async def show_models(queen: Queen, screen: Screen, node: str | None) -> None:
    """List the models of a node, or of all."""
    settings = of(configuration.load())
    here = node in (None, LOCAL) and bind.is_local(address_of(settings)[0])
    _show(screen, await listing_of(queen, screen, node), settings.config, here)


async def listing_of(queen: Queen, screen: Screen, node: str | None) -> NodeModelRows:
    """The models of a node, or of all; what can't be listed is said."""
    found = await call_for(queen, ep.QUEEN_MODELS, node)
    _tell(screen, found)
    return found


def _tell(screen: Screen, found: NodeModelRows) -> None:
    for note in found.notes:
        screen.note(f"[model-provisioner] ⚠️ {note}")


def _show(screen: Screen, found: NodeModelRows, config: Config, of_this_machine: bool) -> None:
    several = len(found.disks) > 1
    heads = ["NODE"] * several + [*MODEL_HEADS]
    bundled = _bundled() if of_this_machine else []
    rows = [[*[row.node] * several, *model_cells(row)] for row in [*found.models, *bundled]]
    parts = [table(heads, rows)] if rows else []
    if of_this_machine:
        aliases = {**ALIASES, **config.models.aliases}
        parts.append(table(("ALIAS", "MODEL"), sorted(aliases.items())))
    screen.listing(found.models, "\n\n".join(parts))
    if not found.models:
        screen.note("No model was downloaded yet. Fetch one: rbee-keeper models download MODEL")


def _bundled() -> list[NodeModelRow]:
    """The row of the model that comes with rbee, if it is installed."""
    from rbee.keeper.session import on_disk  # it imports SQLite

    file = on_disk.bundled_file()
    if file is None:
        return []
    size = file.stat().st_size
    return [
        NodeModelRow(
            node=LOCAL,
            id=None,
            provider="bundled",
            reference=DEFAULT,
            local_path=str(file),
            size_bytes=size,
            bytes_downloaded=size,
            downloaded_at_unix=None,
            quantization=of_file(file.name),
            sha256=None,
        )
    ]


def _has_no_queen(settings: KeeperSettings) -> bool:
    """Whether a queen would have to be started on this machine."""
    host, port = address_of(settings)
    return bind.is_local(host) and bind.is_free(host, port)


async def _without_queen(config: Config, everywhere: bool) -> NodeModelRows:
    """The models of this machine, as `rbee-hive` lists them: through the hive that runs here, or
    from the catalog and the folder. What the
    program says is shown. Raises PROGRAM_FAILED."""
    words = [*paths.program(_HIVE, config.hive.command), "models", "list", "--json"]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
    except OSError as error:
        raise ProgramFailed(program=words[0], reason=f"{error.strerror}.") from None
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _WITHIN_S)
        rows = msgspec.json.decode(out, type=list[ModelRow])
    except TimeoutError:
        raise ProgramFailed(program=_HIVE, reason=f"no answer within {_WITHIN_S:g} s.") from None
    except msgspec.MsgspecError:
        message = f"{_HIVE} could not list the models of this machine."
        raise ProgramFailed(message, program=_HIVE, reason="no list") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    named = [NodeModelRow(node=LOCAL, **msgspec.structs.asdict(row)) for row in rows]
    return NodeModelRows(named, [], _others(config) if everywhere else [])


def _others(config: Config) -> list[str]:
    """What can't be listed: only a queen asks other machines."""
    from rbee.keeper.session import on_disk

    names = sorted({*on_disk.nodes(config), *config.nodes} - {LOCAL})
    return [f"{name} is not listed: no queen runs. Ask it: --node {name}" for name in names]
