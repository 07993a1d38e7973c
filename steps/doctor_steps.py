"""`rbee-keeper doctor`, and what is planted for it to find."""

import signal
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.breaking import broken_installation
from harness.watching import diagnosis, local_installation
from harness.watching.diagnosis import Finding
from harness.world import cluster

_LOOKED_AT = {
    "config",
    "programs",
    "state folder",
    "API key",
    "catalog",
    "registry",
    "models folder",
    "backends",
    "memory",
    "queen",
    "hive",
    "worker ports",
    "pid files",
    "terminal",
}


@given("a key that others can read")
def loose_key(context: Context) -> None:
    broken_installation.write_key(context.world, "k" * 43, mode=0o644)


@given("a key file that holds no key")
def no_key(context: Context) -> None:
    broken_installation.write_key(context.world, "")


@given("a state folder that is open to others")
def open_state(context: Context) -> None:
    broken_installation.open_state(context.world)


@given("a state folder that only its owner may write, who is somebody else")
def state_of_somebody_else(context: Context) -> None:
    broken_installation.state_of_root(context.world)


@given("there is a registry, and it is damaged")
def damaged_registry(context: Context) -> None:
    broken_installation.damage_registry(context.world)


@given("a queen that stands still")
def still_queen(context: Context) -> None:
    broken_installation.stands_still(context.world, "queen-rbee")


@given("a hive that stands still")
def still_hive(context: Context) -> None:
    broken_installation.stands_still(context.world, "rbee-hive")


@given("a queen with another key")
def queen_of_another_key(context: Context) -> None:
    broken_installation.queen_with_another_key(context.world)


@given("an added node workstation {how}")
def bad_node(context: Context, how: str) -> None:
    broken_installation.spoil_node(context.world, "workstation", how)


@given("that hive was killed")
def killed_hive(context: Context) -> None:
    context.hive_run.send(signal.SIGKILL)
    context.hive_run.wait(within=5)


@given("a download of {model} that broke off")
def broken_off(context: Context, model: str) -> None:
    run = context.world.start(f"rbee-keeper models download {model}")
    assert run.wait(within=60) == 1, run.stderr.text


@when("what the doctor advises is typed")
def type_advice(context: Context) -> None:
    for finding in _found(context):
        for line in finding.advice:
            local_installation.type_into(context.world, "bash", line)


@then("every line of the doctor's is fine")
def all_fine(context: Context) -> None:
    wrong = [each for each in _found(context) if each.state != "fine"]
    assert not wrong, wrong


@then("{names} were looked at")
def looked_at(context: Context, names: str) -> None:
    found = {each.name for each in _found(context)}
    assert found == set(names.replace(" and ", ", ").split(", ")), found


@then("the doctor counts {problems:d} problems and {warnings:d} warnings")
@then("the doctor counts {problems:d} problems and {warnings:d} warning")
def counted(context: Context, problems: int, warnings: int) -> None:
    _, counts = diagnosis.read(context.run.stdout.text)
    assert counts == {"problems": problems, "warnings": warnings}, counts


@then("nothing was written in the home")
def nothing_written(context: Context) -> None:
    found = [path for path in context.world.home.rglob("*") if not path.is_dir()]
    assert found == [context.world.config], found
    assert not Path(context.world.home, ".rbee").exists()


@then("the doctor's JSON has the same lines, all fine, and one of node {name:S}")
def json_fine(context: Context, name: str) -> None:
    found, counts = diagnosis.read_json(context.run.stdout.text)
    assert {each.name for each in found} == _LOOKED_AT | {f"node {name}"}, found
    assert {each.state for each in found} == {"fine"}, found
    assert counts == {"problems": 0, "warnings": 0}, counts


@then("queen, hive and worker are still the same as before the doctor came")
def same_as_before(context: Context) -> None:
    now = cluster.processes(context.world)
    assert now == context.before, (now, context.before)


@then('the doctor says that {name} is {state}: "{words}"')
def doctor_says(context: Context, name: str, state: str, words: str) -> None:
    context.finding = diagnosis.of(_found(context), name, state)
    assert words in context.finding.said, context.finding


@then('it says what to type: "{words}"')
def to_type(context: Context, words: str) -> None:
    assert any(words in line for line in context.finding.advice), context.finding


@then("all else was looked at")
def all_else(context: Context) -> None:
    names = {each.name for each in _found(context)}
    assert names >= _LOOKED_AT, _LOOKED_AT - names
    assert any(name.startswith("node") for name in names), names


@then("nothing is running that was not before")
def nothing_new(context: Context) -> None:
    started = {run.pid for run in context.world.runs}
    found = [each for each in context.world.processes() if each.pid not in started]
    assert not found, found


def _found(context: Context) -> list[Finding]:
    return diagnosis.read(context.run.stdout.text)[0]
