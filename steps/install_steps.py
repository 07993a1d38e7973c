"""rbee installed on this machine: programs, config files, units, completion."""

import stat
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.watching import local_installation, systemd
from harness.watching.interactive_shell import Shell
from harness.world import cluster, settings
from harness.world.commands import INSTALLED
from harness.world.waiting import wait_until

_SOMEBODY_ELSES = "[Service]\nExecStart=/opt/mine/rbee-hive daemon\n"


@given("the config file has the node {name:S}")
def node_in_config(context: Context, name: str) -> None:
    world = context.world
    world.set(f"nodes.{name}", "ssh_host", f"{name}.home.arpa")


@given("the registry was moved to {place}")
def moved_registry(context: Context, place: str) -> None:
    world = context.world
    moved = (world.home / ".rbee" / "beehives.db").rename(world.expand(place))
    world.set("paths", "beehives_db", str(moved))


@given("the files {names} in the home folder")
def files_in_home(context: Context, names: str) -> None:
    for name in names.split(" and "):
        place = context.world.home / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


@given("an API key that exists already")
def an_old_key(context: Context) -> None:
    context.world.key_file.parent.mkdir(mode=0o700)
    context.world.key_file.touch(mode=0o600)
    context.world.key_file.write_text("k" * 43 + "\n")


@given("{name:w} with completion on a terminal")
def a_shell(context: Context, name: str) -> None:
    context.shell = Shell(context.world, name)


@when("I type `{typed}` and Tab")
def complete(context: Context, typed: str) -> None:
    context.shell.complete(context.world.expand(typed))


@when("I type `{command}` with the beginning of its id, and Tab")
def complete_id(context: Context, command: str) -> None:
    reply = context.world.call("GET", f"{context.world.queen_url}/v2/tasks")
    (task,) = reply.json["tasks"]
    context.completed = f"{command} {task['request_id']}"
    context.shell.complete(f"{command} {task['request_id'][:6]}")


@then("the line has its whole id")
def has_id(context: Context) -> None:
    context.shell.wait_for(context.completed)


@when("I press Tab again")
def press_tab(context: Context) -> None:
    context.shell.press_tab()


@then("each of these lines is completed by Tab")
def each_is_completed(context: Context) -> None:
    for row in context.table:
        complete(context, row["typed"])
        line_is(context, row["line"])


@then("the line is `{line}`")
def line_is(context: Context, line: str) -> None:
    if "<worker>" in line:
        line = line.replace("<worker>", cluster.only_worker(context.world)["id"])
    context.shell.wait_for(context.world.expand(line))


@then("the line is `{line}`, and nothing else is on the screen")
def only_line(context: Context, line: str) -> None:
    line_is(context, line)
    assert context.shell.stays(line), context.shell.screen


@then("it was completed within {seconds:g} s")
def in_time(context: Context, seconds: float) -> None:
    assert context.shell.took < seconds, context.shell.took


@then("what listens there was shown no key")
def shown_no_key(context: Context) -> None:
    asked = getattr(context.squatter, "requests", None)
    assert asked is None or asked, "it was asked for nothing"
    assert not [request for request in asked or () if context.world.key in request], asked


@then("nothing but the shell is running")
def only_the_shell(context: Context) -> None:
    """A command that has completed nothing has perhaps not ended yet."""
    wait_until(
        "the shell to run alone",
        context.world.processes,
        10,
        lambda found: [process.pid for process in found] == [context.shell.pid],
    )


@then("there is no key yet")
def no_key(context: Context) -> None:
    assert not context.world.key_file.exists()


@given("an empty home folder")
def empty_home(context: Context) -> None:
    local_installation.empty_home(context.world)


@given("root, on a machine <machine>")
def root_of_a_machine(context: Context) -> None:
    world = context.world
    world.config.unlink()
    world.placeholders["machine"] = str(local_installation.with_own_system_folders(world))


@given("another program {path}")
def another_program(context: Context, path: str) -> None:
    program = Path(context.world.expand(path))
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho somebody else\n")
    context.noted = {program: program.read_text()}


@given("a link {path} to a program that is gone")
def dead_link(context: Context, path: str) -> None:
    link = Path(context.world.expand(path))
    link.parent.mkdir(parents=True)
    link.symlink_to(context.world.root / "gone" / link.name)


@given("the config files {names}, each with another queen.queue_limit")
def config_files(context: Context, names: str) -> None:
    there = names.replace(" and ", ", ").split(", ")
    context.limits = local_installation.with_config_files(context.world, there)


@when("the contents of the home folder are noted")
def note_home(context: Context) -> None:
    context.noted_home = local_installation.snapshot(context.world.home)


@when("the contents of the config file are noted")
def note_config(context: Context) -> None:
    context.noted = {context.world.config: context.world.config.read_text()}


@when("I type the command that it advises")
def type_advice(context: Context) -> None:
    line = local_installation.advised_command(context.run.stderr.text, "install again")
    local_installation.run_in_shell(context.world, "bash", line)


@when("I type the line that it advises in {shell:w}")
def type_path_advice(context: Context, shell: str) -> None:
    line = local_installation.advised_command(context.run.stderr.text, "open a new terminal")
    local_installation.run_in_shell(context.world, shell, line)


@then("the four programs in {folder} answer with their version")
def programs_answer(context: Context, folder: str) -> None:
    local_installation.check_programs(context.world, Path(context.world.expand(folder)))


@then("{path} changes no setting")
def changes_nothing(context: Context, path: str) -> None:
    world, config = context.world, Path(context.world.expand(path))
    found, built_in = (local_installation.settings_in_force(world, file) for file in (config, None))
    assert found == built_in, (found, built_in)
    context.written = config


@then(
    "it names every setting and says what it is for; with all of them uncommented, nothing changes "
    "either"
)
def names_all(context: Context) -> None:
    world = context.world
    assert not local_installation.unexplained(context.written), context.written.read_text()
    file, named = local_installation.uncommented(world, context.written)
    built_in = local_installation.settings_in_force(world, None)
    assert local_installation.settings_in_force(world, file) == built_in, file.read_text()
    shown = {(section, key) for section, keys in built_in.items() for key in keys}
    unset = {("queen", "url"), ("worker", "context"), ("models", "dir"), ("remote", "binary_path")}
    assert shown | unset <= named, (shown | unset) - named


@then("with {path} only {section:w}.{key:w} changes, to {value}")
def changes_one(context: Context, path: str, section: str, key: str, value: str) -> None:
    config = Path(context.world.expand(path))
    found = local_installation.settings_in_force(context.world, config)
    wanted = local_installation.settings_in_force(context.world, None)
    wanted[section][key] = settings.value_of(value)
    assert found == wanted, (found, wanted)


@then("the queen.queue_limit is that of {name}")
def limit_is(context: Context, name: str) -> None:
    found = settings.read(context.run.stdout.text)["queen"]["queue_limit"]
    assert found == context.limits[name], (found, context.limits)


@then("{path} is a folder that only its owner can read")
def private_folder(context: Context, path: str) -> None:
    mode = Path(context.world.expand(path)).stat().st_mode
    assert stat.S_ISDIR(mode), oct(mode)
    assert stat.S_IMODE(mode) == 0o700, oct(mode)


@then("{path} can be read and written by its owner alone")
def for_its_owner(context: Context, path: str) -> None:
    mode = Path(context.world.expand(path)).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600, oct(mode)


@then("{path} can be read by everybody, and written by its owner")
def for_everybody(context: Context, path: str) -> None:
    mode = Path(context.world.expand(path)).stat().st_mode
    assert stat.S_IMODE(mode) == 0o644, oct(mode)


@then("in {folder} each unit has these lines, NAME being its program's")
def unit_lines(context: Context, folder: str) -> None:
    units = systemd.lines_of_units(Path(context.world.expand(folder)))
    assert set(units) == {"queen-rbee", "rbee-hive"}, units
    for name, lines in units.items():
        wanted = {context.world.expand(row["line"]).replace("NAME", name) for row in context.table}
        assert wanted <= set(lines), (wanted - set(lines), lines)
    context.unit_lines = units


@then("neither unit has a line {one:w} or {other:w}")
def no_such_lines(context: Context, one: str, other: str) -> None:
    keys = {line.partition("=")[0] for lines in context.unit_lines.values() for line in lines}
    assert "ExecStart" in keys, keys
    assert not keys & {one, other}, keys


@then("{later:S} starts after {earlier:S}")
def ordered(context: Context, later: str, earlier: str) -> None:
    assert f"After={earlier}.service" in context.unit_lines[later], context.unit_lines
    assert f"After={later}.service" not in context.unit_lines[earlier], context.unit_lines


@then("{path} is a folder")
def a_folder(context: Context, path: str) -> None:
    assert Path(context.world.expand(path)).is_dir()


@then("the home folder is unchanged")
def same_home(context: Context) -> None:
    found = local_installation.snapshot(context.world.home)
    assert found == context.noted_home, found.items() ^ context.noted_home.items()


@then("the config file is unchanged")
@then("that program is unchanged")
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


@then("a new {shell:w} finds {program} in {folder}")
def shell_finds(context: Context, shell: str, program: str, folder: str) -> None:
    found = local_installation.path_in_shell(context.world, shell, program)
    assert found == f"{context.world.expand(folder)}/{program}", found


@given("the unit {name:S} is one that somebody else wrote")
def foreign_unit(context: Context, name: str) -> None:
    context.units[name].file.write_text(_SOMEBODY_ELSES)


@given("systemd starts {names}")
@when("systemd starts {names}")
def started(context: Context, names: str) -> None:
    for name in names.split(" and "):
        context.units[name].start()


@when("systemd stops {name:S}")
def stop(context: Context, name: str) -> None:
    context.unit = context.units[name]
    context.unit_code = context.unit.stop()


@then("it ended by itself with {code:d}, and nothing had to be killed")
def ended_in_order(context: Context, code: int) -> None:
    assert not context.unit.killed, context.unit.killed
    assert context.unit_code == code, context.unit_code


@then("{name:S} has {seconds:d} s to stop, and some margin")
def has_time(context: Context, name: str, seconds: int) -> None:
    found = context.units[name].stop_s
    assert seconds < found <= seconds + 15, found


@then("the unit {name:S} is unchanged")
def unit_as_it_was(context: Context, name: str) -> None:
    assert context.units[name].file.read_text() == _SOMEBODY_ELSES


@then("systemd-analyze finds nothing wrong with the {kind:w} units in {folder}")
def verified(context: Context, kind: str, folder: str) -> None:
    found = systemd.verify_units(Path(context.world.expand(folder)), kind)
    assert found == "0: ", found
