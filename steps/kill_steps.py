"""A round of the kill matrix."""

from behave import given, then, when
from behave.runner import Context

from harness.breaking import after_kill
from harness.breaking.kill_matrix import Plan, Round


@given("under a {lifetime:w} queen, a {victim:w} while it is {phase:w}")
def a_round(context: Context, lifetime: str, victim: str, phase: str) -> None:
    node = context.node if "node" in context else None
    context.round = Round(context.world, Plan(victim, phase, lifetime), node)
    context.round.begin()


@when("it is killed")
def strike(context: Context) -> None:
    context.round.strike()


@then("all that hung on it is gone after 10 s, and nothing else")
def settle(context: Context) -> None:
    context.round.settle()


@then("the exit code told the truth")
def exit_code(context: Context) -> None:
    context.round.exit_code_is_true()


@then("no port is held")
def ports(context: Context) -> None:
    after_kill.ports_are_free(context.world, context.round.node)


@then("no file is damaged")
def files(context: Context) -> None:
    after_kill.files_are_whole(context.world.home)
    after_kill.settings_are_readable(context.world)


@then("the next command works, and goes on with what had been fetched")
def next_command(context: Context) -> None:
    after_kill.next_command_works(context.round)


@then("nothing is running once the queen is told to stop")
def stop(context: Context) -> None:
    after_kill.stop(context.round)
