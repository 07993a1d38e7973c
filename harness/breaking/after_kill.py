"""What a kill may have left behind: held ports, damaged files, a system that no longer works."""

import json
import socket
from pathlib import Path

from harness.breaking.kill_matrix import FETCHED, Round
from harness.ssh.node import Node
from harness.watching.catalog import integrity_check, same_content
from harness.world.run import Run
from harness.world.world import World

_WORKER_PORTS = range(8001, 8004)
_TWICE_AT_MOST = 2 << 20
_LONGEST_S = 90


def ports_are_free(world: World, node: Node | None) -> None:
    """Every address that nobody of this world listens on can be had again, at once."""
    hive = node.address if node else world.hive_address[0]
    wanted = [world.queen_address, (hive, 9200), *((hive, port) for port in _WORKER_PORTS)]
    for address in wanted:
        if world.listening(address):
            continue
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen()


def files_are_intact(home: Path) -> None:
    """Databases as SQLite itself judges them, pid files as JSON, a key that can be read."""
    state = home / ".rbee"
    for path in sorted(state.glob("*.db")):
        assert integrity_check(path) == "ok", (path, integrity_check(path))
    for path in sorted(state.glob("*.pid")):
        assert json.loads(path.read_text())["pid"], path
    for path in sorted(state.glob("api_key")):
        assert len(path.read_text().strip()) >= 32, path


def settings_are_readable(world: World) -> None:
    _run(world, "queen-rbee daemon --show-settings")


def next_command_works(played: Round) -> None:
    """The same question again; a file of which a part had come is gone on with."""
    tokens = 3
    model = "" if played.plan.phase == "loading" else f" --model {played.model}"
    line = f"rbee-keeper infer --json --temperature 0 --prompt hi --max-tokens {tokens}"
    run = _run(played.world, f"{line}{model}{played.on_node}")
    done = [line for line in run.stdout.text.splitlines() if '"done"' in line]
    assert len(done) == 1, run.stdout.text
    if played.hub:
        _fetched_whole(played)


def _fetched_whole(played: Round) -> None:
    """Its bytes are those on the Hub, and the transfer after the kill did not begin anew."""
    assert played.hub
    models = (played.node or played.world).models
    path = models / FETCHED.removeprefix("hf:")
    assert same_content(path, played.world.model_files.small()), path
    assert not sorted(models.rglob("*.part")), sorted(models.rglob("*.part"))
    transfers = played.hub.log.transfers("small.gguf")
    if len(transfers) > 1:
        begins = [asked.begin for asked in transfers[1:]]
        assert min(begins) >= played.came - 2 * _TWICE_AT_MOST, (begins, played.came)


def stop_everything(played: Round) -> None:
    """Stop whatever was made to last; then nothing is left."""
    if played.plan.lifetime == "persistent":
        _run(played.world, "rbee-keeper daemon stop")
    played.world.wait_for_no_processes(within=0)


def check(played: Round) -> None:
    """All of it, in this order."""
    played.check_exit_code()
    ports_are_free(played.world, played.node)
    for home in (played.world.home, *(node.home for node in played.world.nodes.values())):
        files_are_intact(home)
    settings_are_readable(played.world)
    next_command_works(played)
    stop_everything(played)


def _run(world: World, line: str) -> Run:
    run = world.start(line)
    code = run.wait(_LONGEST_S)
    assert code == 0, f"{line}: exit code {code}; {run.stderr.text}"
    return run
