"""Which rbee is installed on other machines, where, and in which version."""

import re

from behave import given, then
from behave.runner import Context

from harness.watching import keeper_output, second_installation


@given("{name:S} has no rbee")
def no_rbee(context: Context, name: str) -> None:
    context.world.nodes[name].path = ["/usr/local/bin", "/usr/bin", "/bin"]


@given("version {version} is installed on {name:S}")
def another_version(context: Context, version: str, name: str) -> None:
    second_installation.install(context.world.nodes[name], version)


@given("a version with another last part is installed on {name:S}")
def another_last_part(context: Context, name: str) -> None:
    major, minor, _ = second_installation.version().split(".")
    another_version(context, f"{major}.{minor}.99", name)


@given("on {name:S} the programs are in {first}, {second} and {third} too")
def programs_in(context: Context, name: str, first: str, second: str, third: str) -> None:
    for folder in (first, second, third):
        second_installation.copy_programs(context.world.nodes[name].inside(folder))


@given("on {name:S} the programs are below the folder {folder} and nowhere else")
def programs_only_in(context: Context, name: str, folder: str) -> None:
    no_rbee(context, name)
    inside = context.world.nodes[name].inside(folder)
    second_installation.copy_programs(inside / ".venv" / "bin")


@then("the hive on {name:S} is the program {path}")
def hive_is(context: Context, name: str, path: str) -> None:
    hive = context.world.nodes[name].hive()
    assert context.world.expand(path) in hive.cmdline(), hive.cmdline()


@then("the line of {code:w} names queen-rbee with its version, and rbee-hive with {version:S}")
def names_both(context: Context, code: str, version: str) -> None:
    """In the error itself: each program, and after it, before any other number, its version."""
    line = keeper_output.error_line(context.run.stderr.text, code)
    for program, its in (("queen-rbee", second_installation.version()), ("rbee-hive", version)):
        assert re.search(rf"{program}\D*(?<![\d.]){re.escape(its)}(?![\d.]*\d)", line), line


@then("its details give queen-rbee its version, and rbee-hive {version:S}")
def details_name_both(context: Context, version: str) -> None:
    details = context.answer.details
    told = {
        details["program"]: details["version"],
        details["other_program"]: details["other_version"],
    }
    assert told == {"queen-rbee": second_installation.version(), "rbee-hive": version}, details


@then('it advises nobody to run "{command}"')
def does_not_advise(context: Context, command: str) -> None:
    """Neither in a next step nor anywhere else."""
    assert command not in context.run.stderr.text, context.run.stderr.text
