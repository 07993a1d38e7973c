"""What a machine can compute on, and whether a model fits."""

import json
import re
import signal
from typing import Any

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.breaking.usable_cards import UsableCards
from harness.watching import keeper_output, machine, models_output, standalone_hive
from harness.world import cluster

_MIB, _MB = 1 << 20, 1_000_000


@given("a hive that gets the token {token} on its lifeline")
def hive_with_token(context: Context, token: str) -> None:
    context.hive_run = standalone_hive.start_owned_hive(context.world, hf_token=token)


@then("standard output names the hive's url, its version and its worker")
def status_shown(context: Context) -> None:
    world, text = context.world, context.run.stdout.text
    worker = cluster.only_worker(world)
    first, *others = text.splitlines()
    for word in (context.hive_run.ready()["version"], world.hive_url, str(context.hive_run.pid)):
        assert word in first, text
    row = keeper_output.rows("\n".join(others))[worker["id"]]
    assert row == [worker["model_ref"], "cpu", "idle", "4 of 4"], row


@then("the JSON says {state}, with that url, that version and that worker")
def status_json(context: Context, state: str) -> None:
    found = json.loads(context.run.stdout.text)
    wanted = {
        "state": state,
        "url": context.world.hive_url,
        "version": context.hive_run.ready()["version"],
    }
    assert {name: found[name] for name in wanted} == wanted, found
    assert found["workers"] == cluster.workers(context.world), found


@when("the hive is killed, and another process has got its pid")
def pid_reused(context: Context) -> None:
    """As after a restart of the machine: the file names the pid of another program."""
    context.hive_run.send(signal.SIGKILL)
    context.hive_run.wait(within=5)
    path = context.world.home / ".rbee" / "hive-rbee.pid"
    content = json.loads(path.read_text())
    assert content["pid"] == context.hive_run.pid, content
    content["pid"] = psutil.Process().ppid()
    path.write_text(json.dumps(content))


@then("it printed the same as the previous run")
def as_before(context: Context) -> None:
    assert context.run.stdout.text == context.run_before.stdout.text, (
        context.run.stdout.text,
        context.run_before.stdout.text,
    )


@then("{count:d} model is in the JSON, {reference}, {state}")
def one_model(context: Context, count: int, reference: str, state: str) -> None:
    found = [(row["reference"], row["state"]) for row in json.loads(context.run.stdout.text)]
    assert found == [(reference, state)] * count, found


@then("the hive itself fetched {reference}")
def fetched_by_hive(context: Context, reference: str) -> None:
    context.hive_run.stderr.wait_for(f"fetching {reference}")


@given("nvidia-smi answers with {mood}")
def mood(context: Context, mood: str) -> None:
    context.cards.behave_as(mood)


@given("a model called {alias} of {megabytes:d} MB")
def model_of_size(context: Context, alias: str, megabytes: int) -> None:
    path = context.model_files.sized(megabytes * 1_000_000)
    context.world.set("models.aliases", alias, f"file:{path}")


@given("a model called {alias} that needs {percent:d} % of the free memory")
def model_in_proportion(context: Context, alias: str, percent: int) -> None:
    """Rounded to 100 MB: free memory changes all the time."""
    needed = machine.memory_free_bytes() * percent // 100
    megabytes = int(needed / 1.2 / _MB) // 100 * 100
    context.needed = 1.2 * megabytes
    model_of_size(context, alias, megabytes)


@when("{first} is shown, and right after it {second}")
@then("{first} is shown, and right after it {second}")
def right_after(context: Context, first: str, second: str) -> None:
    """Among the lines of the phases; an error counts as one."""
    lines = keeper_output.wait_for_line(context.run, second.strip('"'), within=40)
    place = next(at for at, line in enumerate(lines) if first.strip('"') in line)
    assert second.strip('"') in lines[place + 1], lines[place : place + 2]


@then("the preflight reports {required:d} MB needed and {free:d} MB free on {device}")
def needs_reported(context: Context, required: int, free: int, device: str) -> None:
    reported = keeper_output.memory_needs(context.run.stderr.text)
    assert (reported["required"], reported["free"]) == (required, free), reported
    assert f" {free} MB are free on {device}" in context.run.stderr.text, context.run.stderr.text


@then("the preflight reports as much needed, and about what is free")
def needs_in_proportion(context: Context) -> None:
    reported = keeper_output.memory_needs(context.run.stderr.text)
    assert abs(reported["required"] - context.needed) < 2, (reported, context.needed)
    _about_free(reported["free"])


@then("the error names {required:d} MB needed and {free:d} MB free on {device}")
def amounts(context: Context, required: int, free: int, device: str) -> None:
    found = keeper_output.memory_amounts(context.run.stderr.text)
    assert found == {"required": required, "free": free, "device": device}, found


@then("the error names as much, about what is free, and {device}")
def amounts_in_proportion(context: Context, device: str) -> None:
    found = keeper_output.memory_amounts(context.run.stderr.text)
    assert found["device"] == device, found
    assert abs(int(found["required"]) - context.needed) < 2, (found, context.needed)
    _about_free(int(found["free"]))


@then("its details are those of {device}, with {free:d} MB free")
def details_of_device(context: Context, device: str, free: int) -> None:
    """The small model needs 1.2 times its 14.9 MB."""
    wanted = {"node": "localhost", "device": device, "required": 18, "available": free}
    assert context.answer.details == wanted, context.answer


@then("they name this machine, {device}, as much, and about what is free")
def details_in_proportion(context: Context, device: str) -> None:
    found = context.answer.details
    assert (found["node"], found["device"]) == (machine.host_name(), device), found
    assert abs(found["required"] - context.needed) < 2, (found, context.needed)
    _about_free(found["available"])


@then("they name {backend}, and that only {available} is there")
def backend_details(context: Context, backend: str, available: str) -> None:
    wanted = {"backend": backend, "available": [available]}
    assert context.answer.details == wanted, context.answer


def _about_free(megabytes: float) -> None:
    machine.assert_free(megabytes * _MB)


@then("the next step is to rebuild llama.cpp with {flag}")
def reinstall(context: Context, flag: str) -> None:
    (step,) = keeper_output.next_steps(context.run.stderr.text)
    assert _reinstalls(step, flag), step


@then("standard output has the command that rebuilds llama.cpp with {flag}")
def reinstall_printed(context: Context, flag: str) -> None:
    text = context.run.stdout.text
    assert len([line for line in text.splitlines() if _reinstalls(line, flag)]) == 1, text


def _reinstalls(line: str, flag: str) -> bool:
    """With the Python that runs the programs, and the version that is installed there."""
    shape = (
        rf"CMAKE_ARGS={flag} (\S+/python\S*) -m pip install --force-reinstall --no-cache-dir"
        r" --no-binary llama-cpp-python llama-cpp-python==(\S+)$"
    )
    found = re.search(shape, line)
    if found is None:
        return False
    python, version = found.groups()
    return machine.installed_version(python, "llama-cpp-python") == version


@then("each card has a row with its memory and is not usable; the CPU is")
def rows_of_cards(context: Context) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    for place, card in enumerate(context.card_list):
        row = rows[f"cuda:{place}"]
        memory = [f"{mib * _MIB / 1e9:.1f} GB" for mib in (card.total, card.free)]
        assert row == [card.name, *memory, "no"], rows
    assert rows["cpu"][-1] == "yes", rows


@then("each card has a row with its memory and is usable: {answers}")
def usable_rows(context: Context, answers: str) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    for place, (card, usable) in enumerate(
        zip(context.card_list, answers.split(", "), strict=True)
    ):
        memory = [models_output.megabytes(mib * _MIB) for mib in (card.total, card.free)]
        assert rows[f"cuda:{place}"] == [card.name, *memory, usable], rows
    assert rows["cpu"][-1] == "yes", rows


@given("a llama.cpp that can use {them}")
def usable_cards(context: Context, them: str) -> None:
    count = {"them": len(context.card_list), "the first": 1}[them]
    context.usable_cards = UsableCards(context.world, context.card_list[:count])


@then("the hive started workers on {backend:w} {device:d}")
def started_on(context: Context, backend: str, device: int) -> None:
    found = context.usable_cards.started_on()
    assert found == [(backend, str(device))], found


@then("the hive started workers on {backend:w} {device:d}, and then on {other:w} {last:d}")
def started_on_two(context: Context, backend: str, device: int, other: str, last: int) -> None:
    found = context.usable_cards.started_on()
    assert found == [(backend, str(device)), (other, str(last))], found


@then("the hive started no worker")
def started_none(context: Context) -> None:
    assert not context.usable_cards.started_on(), context.usable_cards.started_on()


@then("the hive says that it computes on both cards and the CPU, with what is free on each")
def node_with_cards(context: Context) -> None:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/node")
    assert reply.status == 200, reply
    found = reply.json
    assert found["backends"] == ["cuda", "cpu"], found
    assert found["devices"] == {"cuda": len(context.card_list), "cpu": 1}, found
    *cards, ram = found["memory"]
    wanted = [
        ("cuda", place, card.name, card.total * _MIB, card.free * _MIB)
        for place, card in enumerate(context.card_list)
    ]
    names = ("backend", "index", "name", "memory_total_bytes", "memory_free_bytes")
    assert [tuple(card[name] for name in names) for card in cards] == wanted, found
    assert ram["memory_total_bytes"] == found["ram_total_bytes"], found
    assert found["ram_total_bytes"] == machine.memory_total_bytes(), found


@then("the JSON has the same cards, CPU as the only backend, and the command with {flag}")
def json_of_cards(context: Context, flag: str) -> None:
    found = _json(context)
    assert abs(found["time_unix"] - machine.unix_time()) < 30, found
    wanted = [
        {
            "backend": "cuda",
            "index": place,
            "name": card.name,
            "memory_total_bytes": card.total * _MIB,
            "memory_free_bytes": card.free * _MIB,
        }
        for place, card in enumerate(context.card_list)
    ]
    assert found["hardware"][:-1] == wanted, found
    (ram,) = found["hardware"][len(wanted) :]
    assert (ram["backend"], ram["index"]) == ("cpu", 0), ram
    assert ram["memory_total_bytes"] == machine.memory_total_bytes(), found
    _about_free(ram["memory_free_bytes"] / _MB)
    assert (found["backends"], found["devices"]) == (["cpu"], {"cpu": 1}), found
    assert [_reinstalls(line, flag) for line in found["advice"]] == [True], found


@then("the JSON has no card, and a note about nvidia-smi")
def json_without_cards(context: Context) -> None:
    found = _json(context)
    assert [device["backend"] for device in found["hardware"]] == ["cpu"], found
    assert any("nvidia-smi" in note for note in found["notes"]), found


@then("the JSON has the card, CPU as the only backend, and a note that llama.cpp can't be asked")
def json_without_llama(context: Context) -> None:
    found = _json(context)
    assert [device["backend"] for device in found["hardware"]] == ["cuda", "cpu"], found
    assert found["backends"] == ["cpu"], found
    assert any("llama.cpp can't be asked" in note for note in found["notes"]), found


@then("the JSON is as the worker's own llama.cpp says")
def json_of_llama(context: Context) -> None:
    found = _json(context)
    assert found["backends"] == ["cpu"] == list(found["devices"]), found
    (device,) = found["memory"]
    assert (device["backend"], device["index"]) == ("cpu", 0), device
    assert device["memory_total_bytes"] == machine.memory_total_bytes(), device
    _about_free(device["memory_free_bytes"] / _MB)
    assert device["name"], device


@then("it lists the CPU as the only device, with the machine's memory")
def text_of_llama(context: Context) -> None:
    first, device = context.run.stdout.text.splitlines()
    assert first == "cpu: 1 device", first
    found = re.fullmatch(r"  cpu 0: .+, (\d+) of (\d+) MB free", device)
    assert found is not None, device
    _about_free(int(found[1]))
    assert int(found[2]) == machine.memory_total_bytes() // _MB, device


@then("the card has a row with its name, and its memory is unknown")
def row_of_unknown_memory(context: Context) -> None:
    (card,) = context.card_list
    found = keeper_output.rows(context.run.stdout.text)["cuda:0"]
    assert found == [card.name, "unknown", "unknown", "no"], found


def _json(context: Context) -> Any:
    return json.loads(context.run.stdout.text)


@then("the hive says it has only the CPU to compute on, with the machine's memory and disk")
def node_info(context: Context) -> None:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/node")
    assert reply.status == 200, reply
    found = reply.json
    assert (found["backends"], found["devices"]) == (["cpu"], {"cpu": 1}), found
    (device,) = found["memory"]
    total = machine.memory_total_bytes()
    assert device["memory_total_bytes"] == found["ram_total_bytes"] == total, found
    assert device["memory_free_bytes"] == found["ram_free_bytes"], found
    _about_free(device["memory_free_bytes"] // _MB)
    disk = machine.disk_free_bytes(context.world.home)
    assert abs(found["disk_free_bytes"] - disk) < 0.02 * disk, (found, disk)
    assert (found["state"], found["owner"]) == ("running", None), found
    assert abs(found["time_unix"] - machine.unix_time()) < 5, found


@then("it describes {node}: its rbee, the CPU and this machine's memory")
def node_described(context: Context, node: str) -> None:
    asked = context.world.start("rbee-hive --version")
    assert asked.wait(within=10) == 0, asked.stderr.text
    wanted = {
        "node": node,
        "rbee": asked.stdout.text.split()[-1],
        "backends, the best first": "cpu",
        "devices": "cpu 1",
    }
    found = models_output.facts(context.run.stdout.text)
    assert {name: found.get(name) for name in wanted} == wanted, found
    free, total = models_output.memory(found["memory"])
    _about_free(free / _MB)
    assert abs(total - machine.memory_total_bytes()) < 0.01 * total, found


@then("nvidia-smi was not asked")
def not_asked(context: Context) -> None:
    assert context.cards.times_run == 0, context.cards.times_run


@then("nvidia-smi was asked")
def was_asked(context: Context) -> None:
    assert context.cards.times_run > 0


@then("it printed the same as the previous run, apart from free memory")
def same_as_before(context: Context) -> None:
    def words(text: str) -> list[str]:
        return [word for word in text.split() if not word.strip(",").replace(".", "").isdigit()]

    before, now = context.run_before, context.run
    assert words(now.stdout.text) == words(before.stdout.text), (now.stdout, before.stdout)
    assert len(words(now.stdout.text)) > 5, now.stdout.text
    assert now.exit_code == before.exit_code
