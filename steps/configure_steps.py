"""The settings that a daemon shows: defaults, and which of several places counts."""

from collections.abc import Mapping

from behave import given, then
from behave.runner import Context

from harness.world import settings
from harness.world.run import Run


@given("an empty config file")
def empty_config(context: Context) -> None:
    context.world.write_config("")


@given("the config file is {path}, which RBEE_CONFIG names")
def moved_config(context: Context, path: str) -> None:
    world = context.world
    world.config = world.config.rename(world.expand(path))
    world.extra_environment["RBEE_CONFIG"] = str(world.config)


@then("it shows these settings, and no others")
def shows_exactly(context: Context) -> None:
    wanted = {row["setting"]: settings.json_of(row["value"]) for row in context.table}
    assert settings.flat(context.run.stdout.text) == wanted, context.run.stdout.text


@given("a config file, an environment and flags with these settings")
def three_places(context: Context) -> None:
    context.places = settings.Places(list(context.table))


@then("with the file alone every daemon shows the file's values")
def file_counts(context: Context) -> None:
    context.world.write_config(context.places.file)
    for command in settings.SHOWING:
        _shows(context, command, context.places.wanted())


@then("with file and environment every daemon shows those of the environment")
def environment_counts(context: Context) -> None:
    context.world.extra_environment |= context.places.environment
    for command in settings.SHOWING:
        _shows(context, command, context.places.wanted(environment=True))


@then("with all three each daemon shows its flags' values, and else those of the environment")
def flags_count(context: Context) -> None:
    for command in settings.SHOWING:
        line = f"{command} {context.places.flags(command)}"
        _shows(context, line, context.places.wanted(environment=True, flags_of=command))


@then("`{line}` shows that host and that port")
def address_flag(context: Context, line: str) -> None:
    command, _, address = line.rpartition(" ")
    host, _, port = address.rpartition(":")
    wanted = context.places.wanted(environment=True)
    _shows(context, line, {**wanted, "hive.host": host, "hive.port": int(port)})
    assert command.endswith("--addr")


@then("the least and the most of each are taken, and what is below or above is refused")
def within_limits(context: Context) -> None:
    rows = list(context.table)
    for end in ("least", "most"):
        taken = {row["setting"]: row[end] for row in rows}
        run = _with_variables(context, taken)
        assert run.wait(within=20) == 0, run.stderr.text
        shown = settings.flat(run.stdout.text)
        wrong = {
            name: shown[name] for name in taken if shown[name] != settings.json_of(taken[name])
        }
        assert not wrong, wrong
    beyond = [(row["setting"], row[end]) for row in rows for end in ("below", "above") if row[end]]
    runs = [_with_variables(context, {setting: value}) for setting, value in beyond]
    for (setting, value), run in zip(beyond, runs, strict=True):
        assert run.wait(within=20) == 2, (setting, value, run.stdout.text)
        assert f"{setting} is not valid" in run.stderr.text, (setting, value, run.stderr.text)


def _with_variables(context: Context, values: Mapping[str, str]) -> Run:
    world = context.world
    before = world.extra_environment
    variables = {settings.variable(name): values[name] for name in values}
    world.extra_environment = {**before, **variables}
    run: Run = world.start("rbee-hive daemon --show-settings")
    world.extra_environment = before
    return run


def _shows(context: Context, line: str, wanted: dict[str, object]) -> None:
    run = context.world.start(f"{line} --show-settings")
    assert run.wait(within=20) == 0, run.stderr.text
    shown = settings.flat(run.stdout.text)
    # The config file names every setting but the aliases.
    wrong = {name: shown.get(name) for name in wanted if shown.get(name) != wanted[name]}
    assert not wrong, (line, wrong)
    assert shown.keys() - wanted.keys() == {"models.aliases"}, (line, shown.keys() - wanted.keys())
