"""The whole life of the four programs, looked at from outside."""

from behave import then, when
from behave.runner import Context
from psutil import Process

from harness.watching import footprint


@when("each of the four programs is asked for its version")
def ask_versions(context: Context) -> None:
    context.versions = footprint.versions(context.world)


@then("each answers with its name and the package's version, and exits with 0")
def as_pip_has_it(context: Context) -> None:
    wanted = {
        name: (0, f"{name}, version {footprint.installed_version()}\n") for name in context.versions
    }
    assert len(wanted) == 4, wanted
    assert context.versions == wanted, context.versions


@then("HOME is as it was")
def untouched_home(context: Context) -> None:
    home = context.world.home
    found = [path for path in home.rglob("*") if path.is_file() and path != context.world.config]
    assert not found, found


@then("nothing but keeper, queen, hive and worker is running")
def only_four(context: Context) -> None:
    wanted = {context.run.pid, *(process.pid for process in context.before.values())}
    assert len(wanted) == 4, wanted
    found = {process.pid for process in context.world.processes()}
    assert found == wanted, context.world.processes()


@then("the keeper is connected to the queen, and to nobody else")
def only_to_the_queen(context: Context) -> None:
    keeper = _keeper(context)
    assert footprint.peers(keeper) == {context.world.queen_address}, footprint.peers(keeper)


@then("the keeper has no database open, and the hive has the catalog")
def no_database(context: Context) -> None:
    held = {path.name for path in footprint.open_databases(context.before["hive"])}
    assert held == {"models.db"}, held
    assert footprint.open_databases(_keeper(context)) == []


@then("every database, here and on {name:S}, has one table, of models or of nodes")
def no_table_of_workers(context: Context, name: str) -> None:
    homes = [context.world.home, context.world.nodes[name].home]
    found = [path for home in homes for path in footprint.databases(home)]
    tables = {str(path): footprint.tables(path) for path in found}
    assert {path.name for path in found} == {"models.db", "beehives.db"}, tables
    for path in found:
        wanted = {"models.db": {"models"}, "beehives.db": {"beehives"}}[path.name]
        assert footprint.tables(path) - {"sqlite_sequence"} == wanted, tables


@then("nowhere is a workers.db")
def no_workers_db(context: Context) -> None:
    found = [path for path in context.world.root.rglob("*") if "workers" in path.name.lower()]
    assert not found, found


@then("~/.rbee holds what the contract names, and has {names}")
def state_here(context: Context, names: str) -> None:
    found = footprint.state(context.world.home)
    wanted = set(names.replace(" and ", ", ").split(", "))
    assert wanted <= found <= footprint.STATE, found


@then("~/.rbee on {name:S} holds what the contract names, and has {names}")
def state_there(context: Context, name: str, names: str) -> None:
    found = footprint.state(context.world.nodes[name].home)
    wanted = set(names.replace(" and ", ", ").split(", "))
    assert wanted <= found <= footprint.STATE, found


def _keeper(context: Context) -> Process:
    return Process(context.run.pid)
