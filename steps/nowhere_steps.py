"""A model for which no node has the memory."""

import re

from behave import given, then
from behave.runner import Context

from harness.watching import catalog, keeper_output

_NAME = "lab/enormous/enormous.gguf"


@given("an enormous model is on the disks of {names}")
def on_disks(context: Context, names: str) -> None:
    for name in _names(names):
        where = context.world if name == "localhost" else context.world.nodes[name]
        catalog.link_file(where, context.model_files.named("enormous"), _NAME)


@then("it says of {names} what is free there, and what the model needs")
def says_of_each(context: Context, names: str) -> None:
    """Once for each of them. All have the memory of the same machine."""
    first = keeper_output.error_line(context.run.stderr.text, "VRAM_EXHAUSTED")
    found = re.findall(r"(\w+) has (\d+) MB free on cpu, but the model needs (\d+) MB", first)
    found += re.findall(r"(\w+): (\d+) MB are free, the model needs (\d+) MB", first)
    assert sorted(name for name, *_ in found) == sorted(_names(names)), first
    [needed] = {round(int(each) / 10) for _, _, each in found}
    size = context.model_files.named("enormous").stat().st_size
    assert needed * 10_000_000 > size, (needed, size)
    free = [int(each) for _, each, _ in found]
    assert max(free) < 1.5 * min(free), first


@then("the queen let nobody wait for it")
def nobody_waited(context: Context) -> None:
    world = context.world
    rows = world.call("GET", f"{world.queen_url}/v2/decisions").json["decisions"]
    found = [row["outcome"] for row in rows if row["model"] == f"hf:{_NAME}"]
    assert "nowhere" in found, rows
    assert not {"waits", "refused"} & set(found), rows


def _names(words: str) -> list[str]:
    return words.replace(" and ", ", ").split(", ")
