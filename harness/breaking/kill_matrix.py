"""A round of the kill matrix: one of the programs is killed with SIGKILL at a chosen moment.

    round = Round(world, Plan("hive", "streaming", "ephemeral"), node=None)
    round.reach_phase()         # boots what is needed and waits for the phase
    round.kill_victim()         # SIGKILL
    round.wait_for_effects()    # what depended on it is gone within 10 s, the rest is alive
    after_kill.check(round)

The phases, as an observer sees them:
    connecting   the victim's process has just appeared; a keeper was just started
    downloading  the Hub, which is slow, has sent a part of the file
    loading      some layers are loaded, others are not
    streaming    tokens arrive
    idle         everything is answered; a keeper waits for the end of its own queen
"""

import signal
import time
from dataclasses import dataclass
from random import Random

import psutil

from harness.hub.hub import Hub, open_hub
from harness.model_files.bundled import BUNDLED
from harness.ssh.node import Node
from harness.watching import keeper_output
from harness.world import cluster
from harness.world.processes import alive
from harness.world.run import Run
from harness.world.waiting import let_pass, wait_until
from harness.world.world import World

VICTIMS = ("keeper", "queen", "hive", "worker")
PHASES = ("connecting", "downloading", "loading", "streaming", "idle")
LIMIT_S = 10
FETCHED = "hf:lab/small/small.gguf"
_FILE = "small.gguf"
_SLOW = 4_000_000
_LONGEST_S = 60
# Enough for the phase, but few where a command that asks again may finish.
_TOKENS = {"connecting": 40, "downloading": 1, "loading": 2, "streaming": 2000, "idle": 5}


@dataclass(frozen=True)
class Plan:
    """`lifetime` is the queen's: ephemeral or persistent. `pause_s` passes between the phase and
    the kill; `share` of the file has been sent when the phase is downloading."""

    victim: str
    phase: str
    lifetime: str
    pause_s: float = 0.0
    share: float = 0.3

    def __str__(self) -> str:
        return f"{self.victim} while {self.phase}, {self.lifetime} queen"


def draw_plan(random: Random, victim: str, phase: str) -> Plan:
    """Return a plan for these two, with everything else chosen at random."""
    pause_s = random.uniform(0, 0.3 if phase == "connecting" else 0.1)
    return Plan(victim, phase, _lifetime(random, victim, phase), pause_s, random.uniform(0.1, 0.7))


def _lifetime(random: Random, victim: str, phase: str) -> str:
    if phase == "idle":
        return "ephemeral" if victim == "keeper" else "persistent"
    if (victim, phase) == ("worker", "downloading"):
        return "persistent"  # the worker of another model
    return random.choice(["ephemeral", "persistent"])


class Round:
    """`emptied_s` is how long it took until everything that had to end was gone."""

    def __init__(self, world: World, plan: Plan, node: Node | None = None) -> None:
        self.world = world
        self.plan = plan
        self.node = node
        self.hub: Hub | None = None
        self.emptied_s = 0.0
        self.came = 0
        self.keeper: Run | None = None
        self._stays: list[psutil.Process] = []
        self._goes: list[psutil.Process] = []
        self._struck_at = 0.0

    @property
    def model(self) -> str:
        if self.plan.phase == "loading":
            return "<large>"
        return FETCHED if self.plan.phase == "downloading" else BUNDLED

    @property
    def on_node(self) -> str:
        return f" --node {self.node.name}" if self.node else ""

    # Up to the phase

    def reach_phase(self) -> None:
        (self.node or self.world).set("worker", "mmap", False)
        if self.plan.phase == "downloading":
            self._open_hub()
        if self.plan.lifetime == "persistent":
            self._run("rbee-keeper daemon start")
            if self.plan.phase == "idle" or self.plan.victim == "worker":
                self._start_earlier_worker()
        if (self.plan.phase, self.plan.lifetime) != ("idle", "persistent"):
            self._start_keeper()
            self._wait_for_phase()
        let_pass(self.plan.pause_s)

    def _open_hub(self) -> None:
        self.hub = open_hub(self.world)
        if self.node:
            self.node.extra_environment["HF_ENDPOINT"] = self.hub.url
        self.hub.add_repository("lab/small", {_FILE: self.world.model_files.small()})
        self.hub.faults.bytes_per_second = _SLOW

    def _start_earlier_worker(self) -> None:
        if self.plan.phase in ("idle", "downloading"):
            self._run(f"rbee-keeper infer --prompt hi --max-tokens 2{self.on_node}")

    def _start_keeper(self) -> None:
        tokens = _TOKENS[self.plan.phase]
        line = "rbee-keeper infer --json --temperature 0 --prompt 'write a long story'"
        self.keeper = self.world.start(
            f"{line} --max-tokens {tokens} --model {self.model}{self.on_node}"
        )

    def _wait_for_phase(self) -> None:
        assert self.keeper
        if self.plan.phase == "connecting":
            if self.plan.victim != "keeper":
                cluster.wait_for_role(self.world, self.plan.victim)
        elif self.hub:
            self.hub.wait_for_sent(_FILE, 100 * self.plan.share)
        else:
            wait_until(f"{self.plan.phase}", self._is_in_phase, 40, lambda seen: seen[0])

    def _is_in_phase(self) -> tuple[bool, str]:
        assert self.keeper
        assert self.keeper.running or self.plan.phase == "idle", self.keeper.stderr.text
        events = keeper_output.events(self.keeper.stdout.text)
        names = [name for name, _ in events]
        reached = {
            "loading": any(
                0 < data.get("layers_loaded", 0) < data["layers_total"]
                for name, data in events
                if name == "loading" and "layers_total" in data
            ),
            "streaming": names.count("token") >= 3,
            "idle": "done" in names,
        }
        return reached[self.plan.phase], self.keeper.stderr.text[-500:]

    # The kill, and what follows from it

    def kill_victim(self) -> None:
        world = self.world
        found = {role: cluster.processes_of(world, role) for role in cluster.DAEMONS}
        if self.hub:
            self.came = sum(request.sent for request in self.hub.log.transfers(_FILE))
        victims = [self.keeper.pid] if self.keeper else []
        if self.plan.victim != "keeper":
            victims = [process.pid for process in found[self.plan.victim]]
        assert victims, f"there is no {self.plan.victim} to kill: {found}"
        for role, processes in found.items():
            (self._goes if self._must_go(role) else self._stays).extend(processes)
        self._struck_at = time.monotonic()
        psutil.Process(victims[0]).send_signal(signal.SIGKILL)
        world.evidence.note(f"killed the {self.plan.victim}, pid {victims[0]}")

    def _must_go(self, role: str) -> bool:
        """Whether a process in this role depends on the victim.

        Everything below the victim does, and everything above it too unless the queen is
        persistent. A client may ask again, so an ephemeral queen ends with its keeper.
        """
        order = ("queen", "hive", "worker")
        if self.plan.victim == "keeper":
            return self.plan.lifetime == "ephemeral"
        return order.index(role) >= order.index(self.plan.victim)

    def wait_for_effects(self) -> None:
        """Check that what must end is gone within 10 s, and that what must stay is alive."""
        self._wait_gone()
        if self.plan.lifetime == "persistent":
            gone = [process for process in self._stays if not alive(process)]
            assert not gone, f"these did not depend on the {self.plan.victim}: {gone}"
            if self.plan.victim == "keeper":
                self._wait_for_slots()
        if self.keeper is None:
            return
        if self.hub:
            self.hub.faults.clear()  # the rest of the download need not be slow
        self.keeper.wait(_LONGEST_S)
        if self.plan.lifetime == "ephemeral":
            retried = self.keeper.exit_code == 0
            self.world.wait_for_no_processes(0 if retried else self._left_s())
            if not retried:
                self.emptied_s = time.monotonic() - self._struck_at

    def _wait_gone(self) -> None:
        wait_until(
            f"all that depended on the {self.plan.victim} to end",
            lambda: [process for process in self._goes if alive(process)],
            LIMIT_S,
            lambda left: not left,
        )
        self.emptied_s = time.monotonic() - self._struck_at

    def _wait_for_slots(self) -> None:
        """No client waits for the answer any more, so no worker may go on computing it."""
        wait_until(
            "no worker to be busy",
            lambda: [row for row in cluster.queens_workers(self.world) if row["state"] == "busy"],
            LIMIT_S,
            lambda busy: not busy,
        )
        self.emptied_s = time.monotonic() - self._struck_at

    def _left_s(self) -> float:
        return max(0.0, LIMIT_S - (time.monotonic() - self._struck_at))

    def check_exit_code(self) -> None:
        """0 means proven success and nothing else; a killed keeper has the signal's number."""
        if self.keeper is None:
            return
        names = [name for name, _ in keeper_output.events(self.keeper.stdout.text)]
        proven = "done" in names and "error" not in names
        wanted = {-signal.SIGKILL} if self.plan.victim == "keeper" else {0} if proven else {1}
        found = self.keeper.exit_code
        assert found in wanted, f"exit code {found}, not {wanted}: {self.keeper.stderr.text}"

    def _run(self, line: str) -> Run:
        run = self.world.start(line)
        code = run.wait(_LONGEST_S)
        assert code == 0, f"{line}: {code}; {run.stderr.text}"
        return run
