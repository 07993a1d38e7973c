"""The models folder: what a person does to the files there, and what is found there."""

from behave import given, then, when
from behave.runner import Context

from harness.breaking.small_disk import SmallDisk
from harness.watching import catalog
from harness.world.waiting import wait_until


@given("the models folder is on a disk of {megabytes:d} MB")
def small_disk(context: Context, megabytes: int) -> None:
    context.disk = SmallDisk(context.world.root / "small-disk", megabytes)
    context.world.closes(context.disk.close)
    context.world.set("models", "dir", str(context.disk.path))


@when("the disk fills up")
def disk_fills(context: Context) -> None:
    context.disk.fill()


@given("a person keeps the {content} model at {name}")
def kept_elsewhere(context: Context, content: str, name: str) -> None:
    place = context.world.expand(name)
    catalog.place(context.world, context.shelf.named(content), place)


@given("a person placed the {content} model at {name} in the models folder")
@when("a person places the {content} model at {name} in the models folder")
def placed(context: Context, content: str, name: str) -> None:
    catalog.place(context.world, context.shelf.named(content), name)


@when("a person deletes {name} in the models folder")
def deleted(context: Context, name: str) -> None:
    (context.world.models / name).unlink()


@when("a person cuts {name} in half")
def cut(context: Context, name: str) -> None:
    path = context.world.models / name
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@when("one bit of the partial file is flipped")
def partial_flipped(context: Context) -> None:
    partial = catalog.partial(context.world)
    catalog.flip_a_bit(partial)


@when("one bit of {name} in the models folder is flipped")
def flipped(context: Context, name: str) -> None:
    catalog.flip_a_bit(context.world.models / name)


@then("the file {name} is still there")
def still_there(context: Context, name: str) -> None:
    assert (context.world.models / context.world.expand(name)).is_file()


@then("a partial file is kept")
@then("the partial file is kept")
def partial_kept(context: Context) -> None:
    partial = catalog.partial(context.world)
    assert partial.stat().st_size > 0, partial


@then("nothing was written outside the models folder and ~/.rbee")
def nothing_outside(context: Context) -> None:
    world = context.world
    known = (world.models, world.home / ".rbee", world.config, world.home / ".cache", world.tmp)
    strange = [
        path
        for path in world.root.rglob("*")
        if path.is_file() and not any(path.is_relative_to(place) for place in known)
    ]
    assert not strange, strange


@then("the partial file has at least {percent:d} % of {filename}")
def partial_has(context: Context, percent: int, filename: str) -> None:
    partial = catalog.partial(context.world)
    share = 100 * partial.stat().st_size / context.hub.blob(filename).size
    assert share >= percent, f"{share:.1f} %"


@then("no partial file is left")
def no_partial(context: Context) -> None:
    assert not catalog.partials(context.world), catalog.partials(context.world)


@then("the models folder holds {names}")
def folder_holds(context: Context, names: str) -> None:
    wanted = [] if names == "no model" else names.replace(" and ", ", ").split(", ")
    assert catalog.models_on_disk(context.world) == sorted(wanted), (
        catalog.models_on_disk(context.world),
        wanted,
    )


@then("{name} arrives within {seconds:d} s")
def arrives(context: Context, name: str, seconds: int) -> None:
    path = context.world.models / name
    wait_until(f"{path} to be there", path.exists, seconds)


@then("the file {name} is the one on the Hub")
def is_the_hubs(context: Context, name: str) -> None:
    """By the sha256 that the Hub says."""
    path = context.world.models / name
    assert catalog.sha256(path) == context.hub.blob(path.name).sha256, (path, path.stat().st_size)
