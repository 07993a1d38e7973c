"""What a kill may leave behind: held ports, damaged files, a system that no longer works."""

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
    """Check that every address on which this world does not listen can be bound at once."""
    hive = node.address if node else world.hive_address[0]
    wanted = [world.queen_address, (hive, 9200), *((hive, port) for port in _WORKER_PORTS)]
    for address in wanted:
        if world.listening(address):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()


def files_are_intact(home: Path) -> None:
    """Check the databases with SQLite, the pid files as JSON, and that the key can be read."""
    state = home / ".rbee"
    for path in sorted(state.glob("*.db")):
        assert integrity_check(path) == "ok", (path, integrity_check(path))
    for path in sorted(state.glob("*.pid")):
        assert json.loads(path.read_text())["pid"], path
    for path in sorted(state.glob("api_key")):
        assert len(path.read_text().strip()) >= 32, path


def settings_are_readable(world: World) -> None:
    _run(world, "queen-rbee daemon --show-settings")


def next_command_works(round: Round) -> None:
    """Ask the same question again; a partial download must be continued."""
    tokens = 3
    model = "" if round.plan.phase == "loading" else f" --model {round.model}"
    line = f"rbee-keeper infer --json --temperature 0 --prompt hi --max-tokens {tokens}"
    run = _run(round.world, f"{line}{model}{round.on_node}")
    done = [line for line in run.stdout.text.splitlines() if '"done"' in line]
    assert len(done) == 1, run.stdout.text
    if round.hub:
        _fetched_whole(round)


def _fetched_whole(round: Round) -> None:
    """The file equals the one on the Hub, and the transfer after the kill did not start over."""
    assert round.hub
    models = (round.node or round.world).models
    path = models / FETCHED.removeprefix("hf:")
    assert same_content(path, round.world.model_files.small()), path
    assert not sorted(models.rglob("*.part")), sorted(models.rglob("*.part"))
    transfers = round.hub.log.transfers("small.gguf")
    if len(transfers) > 1:
        begins = [request.begin for request in transfers[1:]]
        assert min(begins) >= round.came - 2 * _TWICE_AT_MOST, (begins, round.came)


def stop_everything(round: Round) -> None:
    """Stop whatever was made persistent; then nothing may be left."""
    if round.plan.lifetime == "persistent":
        _run(round.world, "rbee-keeper daemon stop")
    round.world.wait_for_no_processes(within=0)


def check(round: Round) -> None:
    """Run all the checks, in this order."""
    round.check_exit_code()
    ports_are_free(round.world, round.node)
    for home in (round.world.home, *(node.home for node in round.world.nodes.values())):
        files_are_intact(home)
    settings_are_readable(round.world)
    next_command_works(round)
    stop_everything(round)


def _run(world: World, line: str) -> Run:
    run = world.start(line)
    code = run.wait(_LONGEST_S)
    assert code == 0, f"{line}: exit code {code}; {run.stderr.text}"
    return run
