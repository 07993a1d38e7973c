"""rbee installed on this machine, by `rbee-keeper install`."""

import stat
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.watching import local_installation
from harness.world import settings
from harness.world.commands import INSTALLED


@given("a home with nothing in it")
def empty_home(context: Context) -> None:
    local_installation.empty_home(context.world)


@given("a person without root")
def without_root(context: Context) -> None:
    local_installation.without_root(context.world)


@given("root, on a machine <machine>")
def root_of_a_machine(context: Context) -> None:
    world = context.world
    world.config.unlink()
    world.places["machine"] = str(local_installation.as_root_of_a_machine(world))


@given("another program {path}")
def another_program(context: Context, path: str) -> None:
    program = Path(context.world.expand(path))
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho somebody else\n")
    context.noted = {program: program.read_text()}


@given("the config files {names}, each with another queen.queue_limit")
def config_files(context: Context, names: str) -> None:
    there = names.replace(" and ", ", ").split(", ")
    context.limits = local_installation.with_config_files(context.world, there)


@when("somebody notes what is in the home")
def note_home(context: Context) -> None:
    context.noted_home = local_installation.snapshot(context.world.home)


@when("somebody notes what is in the config file")
def note_config(context: Context) -> None:
    context.noted = {context.world.config: context.world.config.read_text()}


@when("the command that it advises is typed")
def type_advice(context: Context) -> None:
    line = local_installation.advised(context.run.stderr.text, "install again")
    local_installation.type_into(context.world, "bash", line)


@when("the line that it advises is typed in {shell:w}")
def type_path_advice(context: Context, shell: str) -> None:
    line = local_installation.advised(context.run.stderr.text, "open a new terminal")
    local_installation.type_into(context.world, shell, line)


@then("the four programs in {folder} answer with their version")
def programs_answer(context: Context, folder: str) -> None:
    local_installation.check_programs(context.world, Path(context.world.expand(folder)))


@then("{path} changes no setting")
def changes_nothing(context: Context, path: str) -> None:
    world, config = context.world, Path(context.world.expand(path))
    found, built_in = (local_installation.in_force(world, file) for file in (config, None))
    assert found == built_in, (found, built_in)
    context.written = config


@then("it names every setting; with all of them taken in, nothing has changed either")
def names_all(context: Context) -> None:
    world = context.world
    file, named = local_installation.taken_in(world, context.written)
    built_in = local_installation.in_force(world, None)
    assert local_installation.in_force(world, file) == built_in, file.read_text()
    shown = {(section, key) for section, keys in built_in.items() for key in keys}
    unset = {("queen", "url"), ("worker", "context"), ("models", "dir"), ("remote", "binary_path")}
    assert shown | unset <= named, (shown | unset) - named


@then("with {path} only {section:w}.{key:w} has changed, to {value}")
def changes_one(context: Context, path: str, section: str, key: str, value: str) -> None:
    config = Path(context.world.expand(path))
    found = local_installation.in_force(context.world, config)
    wanted = local_installation.in_force(context.world, None)
    wanted[section][key] = settings.value_of(value)
    assert found == wanted, (found, wanted)


@then("the queen.queue_limit is that of {name}")
def limit_is(context: Context, name: str) -> None:
    found = settings.read(context.run.stdout.text)["queen"]["queue_limit"]
    assert found == context.limits[name], (found, context.limits)


@then("{path} is a folder for nobody else to read")
def private_folder(context: Context, path: str) -> None:
    mode = Path(context.world.expand(path)).stat().st_mode
    assert stat.S_ISDIR(mode), oct(mode)
    assert stat.S_IMODE(mode) == 0o700, oct(mode)


@then("{path} is a folder")
def a_folder(context: Context, path: str) -> None:
    assert Path(context.world.expand(path)).is_dir()


@then("the home is as it was")
def same_home(context: Context) -> None:
    found = local_installation.snapshot(context.world.home)
    assert found == context.noted_home, found.items() ^ context.noted_home.items()


@then("the config file is as it was")
@then("that program is as it was")
def same_file(context: Context) -> None:
    for path, text in context.noted.items():
        assert path.read_text() == text, path.read_text()


@then("{folder} has {names} beside it")
def others_there(context: Context, folder: str, names: str) -> None:
    found = {path.name for path in Path(context.world.expand(folder)).iterdir()}
    wanted = set(names.replace(" and ", ", ").split(", "))
    assert wanted <= set(INSTALLED.values()), wanted
    assert wanted <= found, found


@then("{folder} has the units of queen and hive")
def units_there(context: Context, folder: str) -> None:
    found = {path.name for path in Path(context.world.expand(folder)).iterdir()}
    assert {"queen-rbee.service", "rbee-hive.service"} <= found, found


@then("nothing is said about PATH")
def no_path_advice(context: Context) -> None:
    assert "PATH" not in context.run.stderr.text, context.run.stderr.text


@then("a new {shell:w} finds {program} in {folder}")
def shell_finds(context: Context, shell: str, program: str, folder: str) -> None:
    found = local_installation.found_by(context.world, shell, program)
    assert found == f"{context.world.expand(folder)}/{program}", found
