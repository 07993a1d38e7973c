"""`rbee-keeper doctor`, and what is planted for it to find."""

import re

from behave import given, then, when
from behave.runner import Context

from harness.breaking import doctor
from harness.breaking.doctor import Finding
from harness.watching import local_installation, machine
from harness.world import cluster, settings

_CHECKED = {
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
    doctor.write_key(context.world, "k" * 43, mode=0o644)


@given("a key that is short enough to be guessed")
def short_key(context: Context) -> None:
    doctor.write_key(context.world, "honeybee")


@given("a file in the state folder that others may write")
def open_file(context: Context) -> None:
    doctor.make_file_writable(context.world)


@given("PATH has another {program:S} of version {version:S}")
def other_on_path(context: Context, program: str, version: str) -> None:
    doctor.put_on_path(context.world, program, version)


@given("the settings {one:S} and {other:S} are {value}")
def two_settings(context: Context, one: str, other: str, value: str) -> None:
    for setting in (one, other):
        section, _, key = setting.partition(".")
        context.world.set(section, key, settings.value_of(value))


@given("a key file that holds no key")
def no_key(context: Context) -> None:
    doctor.write_key(context.world, "")


@given("a config file that others may write")
def open_config(context: Context) -> None:
    doctor.make_config_writable(context.world)


@given("a state folder that is open to others")
def open_state(context: Context) -> None:
    doctor.make_state_readable(context.world)


@given("a state folder that belongs to root")
def state_of_somebody_else(context: Context) -> None:
    doctor.make_state_owned_by_root(context.world)


@given("there is a registry, and it is damaged")
def damaged_registry(context: Context) -> None:
    doctor.damage_registry(context.world)


@given("a {program:w} that hangs")
def hung_daemon(context: Context, program: str) -> None:
    doctor.start_suspended(context.world, {"queen": "queen-rbee", "hive": "rbee-hive"}[program])


@given("a queen with another key")
def queen_of_another_key(context: Context) -> None:
    doctor.start_queen_with_other_key(context.world)


@given("an added node workstation {how}")
def bad_node(context: Context, how: str) -> None:
    doctor.add_faulty_node(context.world, "workstation", how)


@given("a download of {model} that broke off")
def broken_off(context: Context, model: str) -> None:
    run = context.world.start(f"rbee-keeper models download {model}")
    assert run.wait(within=60) == 1, run.stderr.text


@when("I type what the doctor advises")
def type_advice(context: Context) -> None:
    for finding in _found(context):
        for line in finding.advice:
            local_installation.run_in_shell(context.world, "bash", line)


@then("the doctor says that memory is fine, of as much as the machine has")
def memory_fine(context: Context) -> None:
    (found,) = (each for each in _found(context) if each.name == "memory")
    said = re.match(r"([\d.]+) of ([\d.]+) GB are free; ", found.message)
    assert found.state == "fine" and said, found
    free, total = float(said[1]), float(said[2])
    assert abs(total - machine.memory_total_bytes() / 1e9) < 0.1, found
    assert 0 < free <= total, found


@then("every finding of the doctor is fine")
def all_fine(context: Context) -> None:
    wrong = [each for each in _found(context) if each.state != "fine"]
    assert not wrong, wrong


@then("{names} were checked")
def checked(context: Context, names: str) -> None:
    found = {each.name for each in _found(context)}
    assert found == set(names.replace(" and ", ", ").split(", ")), found


@then("the doctor counts {problems:d} problems and {warnings:d} warnings")
@then("the doctor counts {problems:d} problems and {warnings:d} warning")
def counted(context: Context, problems: int, warnings: int) -> None:
    _, counts = doctor.read_report(context.run.stdout.text)
    assert counts == {"problems": problems, "warnings": warnings}, counts


@then("the doctor's JSON has the same findings, all fine, and one for each of the nodes {names}")
def json_fine(context: Context, names: str) -> None:
    nodes = {f"node {name}" for name in names.split(" and ")}
    found, counts = doctor.read_json_report(context.run.stdout.text)
    assert {each.name for each in found} == _CHECKED | nodes, found
    assert {each.state for each in found} == {"fine"}, found
    assert counts == {"problems": 0, "warnings": 0}, counts


@then("it names queen and hive with their pids")
def names_pids(context: Context) -> None:
    found, _ = doctor.read_json_report(context.run.stdout.text)
    said = {each.name: each.message for each in found}
    for program in ("queen", "hive"):
        pid = context.before[program].pid
        assert said[program].endswith(f", pid {pid}"), (said[program], pid)


@then('the doctor says that {name} is {state}: "{words}"')
def doctor_says(context: Context, name: str, state: str, words: str) -> None:
    context.finding = doctor.only_finding(_found(context), name, state)
    assert words in context.finding.message, context.finding


@then('the doctor says what to type: "{words}"')
def to_type(context: Context, words: str) -> None:
    assert any(words in line for line in context.finding.advice), context.finding


@then("everything else was checked")
def everything_else(context: Context) -> None:
    names = {each.name for each in _found(context)}
    assert names >= _CHECKED, _CHECKED - names
    assert any(name.startswith("node") for name in names), names


@then("nothing is running that was not running before")
def nothing_new(context: Context) -> None:
    started = {run.pid for run in context.world.runs}
    found = [each for each in cluster.at_work(context.world) if each.pid not in started]
    assert not found, found


def _found(context: Context) -> list[Finding]:
    return doctor.read_report(context.run.stdout.text)[0]
