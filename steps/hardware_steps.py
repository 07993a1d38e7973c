"""What a machine has and what is made of it: cards, memory, preflight, `rbee-hive` by hand."""

import json
import re
from typing import Any

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.breaking.graphics_card import Card, Cards
from harness.watching import catalog, failures, keeper_output

_MIB, _MB = 1 << 20, 1_000_000


@given("graphics cards with {free} MiB free")
@given("a graphics card with {free} MiB free")
def graphics_cards(context: Context, free: str) -> None:
    """Each has a tenth of its memory in use."""
    sizes = [int(word) for word in free.replace(" and ", ", ").split(", ")]
    names = [f"NVIDIA GeForce RTX {4060 + 10 * place}, OC" for place in range(len(sizes))]
    made = [Card(name, size * 10 // 9, size) for name, size in zip(names, sizes, strict=True)]
    context.made = made
    context.cards = Cards(context.world, made)


@given("nvidia-smi answers with {mood}")
@when("nvidia-smi answers with {mood}")
def mood(context: Context, mood: str) -> None:
    context.cards.be(mood)


@given("a model called {alias} of {megabytes:d} MB")
def model_of_size(context: Context, alias: str, megabytes: int) -> None:
    path = context.shelf.sized(megabytes * _MB)
    context.world.set("models.aliases", alias, f"file:{path}")


@given("a model called {alias} that needs {percent:d} % of the free memory")
def model_in_proportion(context: Context, alias: str, percent: int) -> None:
    """To the next 100 MB: what is free changes by itself."""
    needed = psutil.virtual_memory().available * percent // 100
    megabytes = int(needed / 1.2 / _MB) // 100 * 100
    context.needed = 1.2 * megabytes
    model_of_size(context, alias, megabytes)


@given("{name} in the models folder is a model of {megabytes:d} MB")
def large_in_folder(context: Context, name: str, megabytes: int) -> None:
    catalog.link(context.world, context.shelf.sized(megabytes * _MB), name)


@when("{first} is told, and right after it {second}")
@then("{first} is told, and right after it {second}")
def right_after(context: Context, first: str, second: str) -> None:
    """Among the phases' lines; an error counts as one."""
    lines = keeper_output.wait_for_line(context.run, second.strip('"'), within=40)
    place = next(at for at, line in enumerate(lines) if first.strip('"') in line)
    assert second.strip('"') in lines[place + 1], lines[place : place + 2]


@then("it is told that {required:d} MB are needed and {free:d} MB are free on {device}")
def needs_told(context: Context, required: int, free: int, device: str) -> None:
    told = keeper_output.needs(context.run.stderr.text)
    assert (told["required"], told["free"]) == (required, free), told
    assert f"{free} MB are free on {device}" in context.run.stderr.text, context.run.stderr.text


@then("it is told that as much is needed, and about how much is free")
def needs_in_proportion(context: Context) -> None:
    told = keeper_output.needs(context.run.stderr.text)
    assert abs(told["required"] - context.needed) < 2, (told, context.needed)
    _about_free(told["free"])


@then("the error names {required:d} MB needed and {free:d} MB free on {device}")
def amounts(context: Context, required: int, free: int, device: str) -> None:
    found = keeper_output.amounts(context.run.stderr.text)
    assert found == {"required": required, "free": free, "device": device}, found


@then("the error names as much, about what is free, and {device}")
def amounts_in_proportion(context: Context, device: str) -> None:
    found = keeper_output.amounts(context.run.stderr.text)
    assert found["device"] == device, found
    assert abs(int(found["required"]) - context.needed) < 2, (found, context.needed)
    _about_free(int(found["free"]))


def _about_free(megabytes: float) -> None:
    """Others use memory too."""
    free = psutil.virtual_memory().available / _MB
    assert abs(megabytes - free) < 0.2 * free, (megabytes, free)


@then("the next step is to build llama.cpp again, with {flag}")
def reinstall(context: Context, flag: str) -> None:
    (step,) = keeper_output.next_steps(context.run.stderr.text)
    assert _reinstalls(step, flag), step


@then("standard output has the command that builds llama.cpp again with {flag}")
def reinstall_printed(context: Context, flag: str) -> None:
    text = context.run.stdout.text
    assert len([line for line in text.splitlines() if _reinstalls(line, flag)]) == 1, text


@then("standard output has no such command")
def no_reinstall(context: Context) -> None:
    assert "pip install" not in context.run.stdout.text, context.run.stdout.text


def _reinstalls(line: str, flag: str) -> bool:
    """With the Python that the programs run with."""
    shape = (
        rf"CMAKE_ARGS={flag} \S+/python\S* -m pip install --force-reinstall --no-cache-dir"
        r" --no-binary llama-cpp-python llama-cpp-python(==\S+)?$"
    )
    return re.search(shape, line) is not None


@then("each card stands in a row with its memory, and is not usable; the CPU is")
def rows_of_cards(context: Context) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    for place, card in enumerate(context.made):
        row = rows[f"cuda:{place}"]
        memory = [f"{mib * _MIB / 1e9:.1f} GB" for mib in (card.total, card.free)]
        assert row == [card.name, *memory, "no"], rows
    assert rows["cpu"][-1] == "yes", rows


@then("the JSON has the same cards, CPU as the only backend, and the command with {flag}")
def json_of_cards(context: Context, flag: str) -> None:
    found = _json(context)
    wanted = [
        {
            "backend": "cuda",
            "index": place,
            "name": card.name,
            "memory_total_bytes": card.total * _MIB,
            "memory_free_bytes": card.free * _MIB,
        }
        for place, card in enumerate(context.made)
    ]
    assert found["hardware"][:-1] == wanted, found
    assert found["hardware"][-1]["memory_total_bytes"] == psutil.virtual_memory().total, found
    assert (found["backends"], found["devices"]) == (["cpu"], {"cpu": 1}), found
    assert [_reinstalls(line, flag) for line in found["advice"]] == [True], found


@then("the JSON has no card, and a note about nvidia-smi")
def json_without_cards(context: Context) -> None:
    found = _json(context)
    assert [device["backend"] for device in found["hardware"]] == ["cpu"], found
    assert any("nvidia-smi" in note for note in found["notes"]), found


@then("the JSON is as the worker's own llama.cpp says")
def json_of_llama(context: Context) -> None:
    found = _json(context)
    assert found["backends"] == ["cpu"] == list(found["devices"]), found
    (device,) = found["memory"]
    assert (device["backend"], device["index"]) == ("cpu", 0), device
    assert device["memory_total_bytes"] == psutil.virtual_memory().total, device
    assert device["name"], device


def _json(context: Context) -> Any:
    return json.loads(context.run.stdout.text)


@then("the hive says it has only the CPU to compute on, with the machine's memory")
def node_info(context: Context) -> None:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/node")
    assert reply.status == 200, reply
    found = reply.json
    assert (found["backends"], found["devices"]) == (["cpu"], {"cpu": 1}), found
    (device,) = found["memory"]
    total = psutil.virtual_memory().total
    assert device["memory_total_bytes"] == found["ram_total_bytes"] == total, found
    _about_free(device["memory_free_bytes"] // _MB)


@then("nvidia-smi was not asked")
def not_asked(context: Context) -> None:
    assert context.cards.asked == 0, context.cards.asked


@then("nvidia-smi was asked")
def was_asked(context: Context) -> None:
    assert context.cards.asked > 0


@when("somebody forces a task {{{body}}}")
def forced_task(context: Context, body: str) -> None:
    fields = {**json.loads(f"{{{body}}}"), "force": True}
    url = f"{context.world.queen_url}/v2/tasks"
    context.stream = context.world.stream("POST", url, fields)
    context.answer = failures.of(context.stream, within=40)
