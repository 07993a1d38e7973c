"""rbee brought to another machine: from where, what is in the way there, what is there then."""

from behave import given, then, when
from behave.runner import Context

from harness.watching import node_installation, registry
from harness.watching.node_installation import Repository
from harness.world.waiting import wait_until

_LONGEST_S = 400


@given("a repository with this version of rbee on its branch {branch:S}")
def a_repository(context: Context, branch: str) -> None:
    context.repository = Repository(context.world, branch)


@given("the repository can't be built")
def a_spoiled_repository(context: Context) -> None:
    context.repository.spoil()


@when("the repository has version {version:S}")
def another_version(context: Context, version: str) -> None:
    context.repository.release(version)


@given("{name:S} shares the packages that pip knows here")
def shared_pip(context: Context, name: str) -> None:
    node_installation.share_pip(context.world.nodes[name])


@given("{name:S} has no git and reaches no package index")
def cut_off(context: Context, name: str) -> None:
    node_installation.cut_off(context.world.nodes[name])


@given("the only Python of {name:S} is {version:S}")
def only_python(context: Context, name: str, version: str) -> None:
    node_installation.only_python(context.world.nodes[name], version)


@given("somebody has a file in the folder ~/{folder} of {name:S}")
def a_file_there(context: Context, folder: str, name: str) -> None:
    context.kept = node_installation.keep_a_file(context.world.nodes[name], folder)


@when("I install with `{line}`")
def install(context: Context, line: str) -> None:
    context.run = context.world.start(line)
    context.run.wait(_LONGEST_S)


@when("somebody notes the pid of the hive on {name:S}")
def note_hive(context: Context, name: str) -> None:
    context.noted_hive = context.world.nodes[name].hive()


@when("pip is at work on {name:S}")
def pip_at_work(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    wait_until("pip to be at work", lambda: node_installation.pips(node), 120)


@then("the steps {steps} were told, each naming {name:S}")
def steps_told(context: Context, steps: str, name: str) -> None:
    told = node_installation.steps(context.run.stderr.text, name)
    assert told == steps.split(", "), context.run.stderr.text


@then("~/{folder} on {name:S} is a clone of the repository, at its branch {branch:S}")
def a_clone(context: Context, folder: str, name: str, branch: str) -> None:
    clone = context.world.nodes[name].home / folder
    assert node_installation.git(clone, "rev-parse", "HEAD") == context.repository.commit
    assert node_installation.git(clone, "branch", "--show-current") == branch
    assert node_installation.git(clone, "status", "--porcelain") == ""


@then("the rbee-hive in ~/{folder} on {name:S} has the version of the repository")
def the_repositorys_version(context: Context, folder: str, name: str) -> None:
    found = node_installation.hive_version(context.world.nodes[name], folder)
    assert found == context.repository.version, found


@then("the rbee-hive in ~/{folder} on {name:S} has the version that runs here")
def the_version_here(context: Context, folder: str, name: str) -> None:
    here = context.world.start("rbee-hive --version")
    assert here.wait(within=10) == 0, here.stderr.text
    found = node_installation.hive_version(context.world.nodes[name], folder)
    assert here.stdout.text.split()[-1] == found, (here.stdout.text, found)


@then("the worker in ~/{folder} on {name:S} can load llama.cpp")
def worker_detects(context: Context, folder: str, name: str) -> None:
    assert node_installation.worker_detects(context.world.nodes[name], folder)


@then("no environment counts in ~/{folder} on {name:S}")
def no_environment(context: Context, folder: str, name: str) -> None:
    assert ".venv" not in node_installation.contents(context.world.nodes[name], folder)


@when("somebody notes what is in the home of {name:S}")
def note_home(context: Context, name: str) -> None:
    context.noted_home = node_installation.home_listing(context.world.nodes[name])


@then("the home of {name:S} is as it was")
def home_as_it_was(context: Context, name: str) -> None:
    found = node_installation.home_listing(context.world.nodes[name])
    assert found == context.noted_home, (found, context.noted_home)


@then("there is nothing but that file in ~/{folder} of {name:S}")
def only_that_file(context: Context, folder: str, name: str) -> None:
    assert node_installation.contents(context.world.nodes[name], folder) == [context.kept.name]
    assert context.kept.read_text() == "mine"


@then("the hive on {name:S} is still the same process")
def same_hive(context: Context, name: str) -> None:
    assert context.world.nodes[name].hive() == context.noted_hive


@then("the registry knows the backends of {name:S}")
def backends_known(context: Context, name: str) -> None:
    row = registry.only_row(context.world)
    assert row["node_name"] == name, row
    assert "cpu" in (row["backends"] or []), row
