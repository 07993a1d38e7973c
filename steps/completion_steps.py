"""Tab, in a person's shell."""

from behave import given, then, when
from behave.runner import Context

from harness.watching.interactive_shell import Shell
from harness.world import cluster


@given("the node {name:S} stands in the config file")
def node_in_config(context: Context, name: str) -> None:
    world = context.world
    world.set(f"nodes.{name}", "ssh_host", f"{name}.home.arpa")


@given("the alias {name:S} stands in the config file")
def alias_in_config(context: Context, name: str) -> None:
    context.world.set("models.aliases", name, "bundled:smollm2-135m-instruct")


@given("the files {names} in the home")
def files_in_home(context: Context, names: str) -> None:
    for name in names.split(" and "):
        place = context.world.home / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


@given("a key of an earlier day")
def an_old_key(context: Context) -> None:
    context.world.key_file.parent.mkdir(mode=0o700)
    context.world.key_file.touch(mode=0o600)
    context.world.key_file.write_text("k" * 43 + "\n")


@given("{name:w} with completion on a terminal")
def a_shell(context: Context, name: str) -> None:
    context.shell = Shell(context.world, name)


@when("I type `{typed}` and Tab")
def complete(context: Context, typed: str) -> None:
    context.shell.complete(typed)


@then("each of these lines is completed by Tab")
def each_is_completed(context: Context) -> None:
    for row in context.table:
        complete(context, row["typed"])
        line_is(context, row["line"])


@then("the line is `{line}`")
def line_is(context: Context, line: str) -> None:
    if "<worker>" in line:
        line = line.replace("<worker>", cluster.only_worker(context.world)["id"])
    context.shell.wait_for(line)


@then("the line is `{line}`, and nothing else is on the screen")
def only_line(context: Context, line: str) -> None:
    line_is(context, line)
    assert context.shell.stays(line), context.shell.screen


@then("it was there within {seconds:g} s")
def in_time(context: Context, seconds: float) -> None:
    assert context.shell.took < seconds, context.shell.took


@then("nothing but the shell is running")
def only_the_shell(context: Context) -> None:
    found = [process.pid for process in context.world.processes()]
    assert found == [context.shell.pid], context.world.processes()


@then("there is no key yet")
def no_key(context: Context) -> None:
    assert not context.world.key_file.exists()
