"""behave's hooks: a world before each scenario, the verdict after it."""

import atexit
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from behave.model import Scenario, Step
from behave.model_type import Status
from behave.runner import Context

from harness.model_files.cache import ModelFiles
from harness.running.tag_requirements import missing_requirement
from harness.ssh.added_nodes import AddedNodes
from harness.watching import machine
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World


def before_all(context: Context) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    ignore_signals_alone()
    userdata: dict[str, Any] = context.config.userdata
    context.commands = Commands.from_userdata(userdata)
    missing = context.commands.missing()
    assert not missing, (
        f"not installed: {', '.join(missing)}; try: pip install -e '.[demo,test]', or name the "
        "programs to judge: -D keeper=… -D queen=… -D hive=… -D worker=…"
    )
    context.evidence_root = Path(userdata.get("evidence", ".evidence")).absolute()
    shared = userdata.get("models")
    context.model_files = ModelFiles(Path(shared) if shared else None)
    context.added_nodes = AddedNodes()
    context.world = None
    machine.watch_free_memory()


def before_scenario(context: Context, scenario: Scenario) -> None:
    assert any(scenario.all_steps), "a scenario without steps proves nothing"
    reason = missing_requirement(scenario.effective_tags)
    if "rbee" in scenario.effective_tags and context.commands.replaced:
        reason = "@rbee: it installs rbee, and another implementation is judged"
    if reason:
        scenario.skip(reason)
        return
    evidence = Evidence(context.evidence_root, scenario.name)
    scenario.evidence = str(evidence.folder)  # for the report
    context.world = World(context.commands, context.model_files, evidence)
    atexit.register(context.world.kill_all)


def before_step(context: Context, step: Step) -> None:
    context.world.evidence.note(f"{step.keyword} {step.name}")


def after_scenario(context: Context, scenario: Scenario) -> None:
    """A leak fails the scenario: behave counts a hook's exception as one."""
    world: World | None = context.world
    if world is None:
        return
    passed = scenario.status == Status.passed
    try:
        world.end(judge=passed)
    except AssertionError:
        passed = False
        raise
    finally:
        atexit.unregister(world.kill_all)
        if passed:
            world.evidence.discard()
        else:
            print(f"\n{scenario.name}\n{world.evidence.report()}\n", file=sys.stderr)


def after_all(context: Context) -> None:
    if hasattr(context, "model_files"):
        context.model_files.close()


def ignore_signals_alone() -> None:
    """A background job of a shell ignores Ctrl+C, and nohup a closed terminal; what they start
    would inherit that. A handler is not inherited, and here it does nothing."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, _go_on)


def _go_on(number: int, frame: FrameType | None) -> None:
    """Do nothing, in this process."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl+C, on which behave finishes the hooks and stops."""
    raise KeyboardInterrupt
