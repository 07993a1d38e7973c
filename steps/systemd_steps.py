"""The units of queen and hive, and systemd, which starts and stops them."""

from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.watching import systemd
from harness.watching.systemd import Unit

_SOMEBODY_ELSES = "[Service]\nExecStart=/opt/mine/rbee-hive daemon\n"


@given("units written by `{line}`")
def units_written(context: Context, line: str) -> None:
    run = context.world.start(line)
    assert run.wait(within=30) == 0, run.stderr.text
    context.units = {name: Unit(context.world, name) for name in ("queen-rbee", "rbee-hive")}


@given("systemd has started {names}")
def started(context: Context, names: str) -> None:
    for name in names.split(" and "):
        start(context, name)


@given("the unit {name:S} is one that somebody else wrote")
def foreign_unit(context: Context, name: str) -> None:
    context.units[name].file.write_text(_SOMEBODY_ELSES)


@given("a long answer streams")
def a_long_answer(context: Context) -> None:
    body = {"prompt": "hi", "max_tokens": 8000, "ignore_eos": True}
    context.stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=60)


@when("systemd starts {name:S}")
def start(context: Context, name: str) -> None:
    context.units[name].start()


@when("systemd stops {name:S}")
def stop(context: Context, name: str) -> None:
    context.unit = context.units[name]
    context.unit_code = context.unit.stop()


@then("it ended by itself, with {code:d}, and nothing of it had to be killed")
def ended_in_order(context: Context, code: int) -> None:
    assert not context.unit.killed, context.unit.killed
    assert context.unit_code == code, context.unit_code


@then("{name:S} has {seconds:d} s to end, and some air")
def has_time(context: Context, name: str, seconds: int) -> None:
    found = context.units[name].stop_s
    assert seconds < found <= seconds + 15, found


@then("the unit {name:S} is as it was")
def unit_as_it_was(context: Context, name: str) -> None:
    assert context.units[name].file.read_text() == _SOMEBODY_ELSES


@then("systemd-analyze finds nothing wrong with the {kind:w} units in {folder}")
def verified(context: Context, kind: str, folder: str) -> None:
    found = systemd.verdict(Path(context.world.expand(folder)), kind)
    assert found == "0: ", found
