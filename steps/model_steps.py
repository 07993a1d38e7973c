"""Model files: broken ones, and what a good one says of itself."""

from dataclasses import asdict
from pathlib import Path

import psutil
from behave import then, when
from behave.runner import Context

from harness.model_files.headers import facts
from harness.model_files.shelf import bundled_path, bundled_reader
from harness.watching import keeper_output, refusals, standalone_worker
from harness.world import cluster
from harness.world.waiting import wait_until

_CHAT = "<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n"
_MOST_TOKENS = 60


@when("somebody asks for an answer from each of these files")
def ask_about_each(context: Context) -> None:
    context.rows = [(row["file"], row["code"], row["words"]) for row in context.table]
    context.refusals = refusals.ask_about(context.world, [file for file, _, _ in context.rows])


@then("each is refused with its code and the reason in those words, a next step and exit code 1")
def each_refused(context: Context) -> None:
    faults = []
    for refusal, (_, code, words) in zip(context.refusals, context.rows, strict=True):
        faults += refusals.wrong(refusal, code, words)
    assert not faults, "\n" + "\n".join(faults)


@then("the hive is the same process, and no worker is left")
def hive_lives(context: Context) -> None:
    """The keeper hears of a failed load from the worker itself, which ends just after that."""
    world = context.world
    assert cluster.process_at(world, world.hive_url).pid == context.hive_run.pid
    wait_until("no worker to be listed", lambda: cluster.workers(world), 5, lambda rows: not rows)
    left = {process.pid for process in world.processes()}
    assert left == {context.hive_run.pid, context.queen_run.pid}, left


@then("the model-loader tells of {facts}")
def loader_tells(context: Context, facts: str) -> None:
    told = [
        line
        for line in keeper_output.narration(context.run.stderr.text)
        if "[model-loader]" in line
    ]
    assert any(all(word in line for word in facts.split(", ")) for line in told), told


@then("the worker says that llama.cpp has loaded {form}, {architecture}, {layers:d} layers, {kind}")
def worker_says(context: Context, form: str, architecture: str, layers: int, kind: str) -> None:
    found = cluster.model_of(context.world, cluster.only_worker(context.world)["url"])
    wanted = {
        "loader": "llama.cpp",
        "format": form,
        "architecture": architecture,
        "layers": layers,
        "quantization": kind,
    }
    assert {name: found.get(name) for name in wanted} == wanted, found


@when("the worker is asked for its model")
def ask_for_model(context: Context) -> None:
    context.model = cluster.model_of(context.world, context.worker["url"])


@then(
    "its vocabulary, its end-of-sequence token, its quantization and its size are those of the file"
)
def as_in_the_file(context: Context) -> None:
    known = facts(bundled_reader())
    wanted = {
        **asdict(known),
        "context": known.context_length,
        "file": str(bundled_path()),
        "size_bytes": bundled_path().stat().st_size,
    }
    assert {name: context.model.get(name) for name in wanted} == wanted, context.model
    others = {"format", "loader", "model_bytes"}
    assert set(context.model) == {*wanted, *others}, context.model


@then("its size in memory is what llama.cpp says to somebody else who asks")
def size_in_memory(context: Context) -> None:
    assert context.model["model_bytes"] == context.shelf.teacher.model_bytes, context.model


@when("it is asked for an answer that ends early, with and without obeying the end")
def ends_early(context: Context) -> None:
    context.answers = [
        context.hand.answer(_CHAT, _MOST_TOKENS, ignore_eos=ignoring) for ignoring in (False, True)
    ]


@then("the first has fewer tokens and the reason {early}, the second all of them and {late}")
def ended_early(context: Context, early: str, late: str) -> None:
    first, second = (standalone_worker.done_of(answer) for answer in context.answers)
    assert (first["stop_reason"], second["stop_reason"]) == (early, late), (first, second)
    assert 0 < first["total_tokens"] < second["total_tokens"] == _MOST_TOKENS, (first, second)


@then("at the end of the first, the header's end-of-sequence token is the one to come")
def end_to_come(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.answers[0])
    coming = context.shelf.teacher.next_token(_CHAT, pieces)
    assert coming == facts(bundled_reader()).eos_token_id, (coming, pieces)


@when("the hive is asked for workers for {models}, and each for an answer")
def ask_each(context: Context, models: str) -> None:
    context.models, context.answers = [], []
    for model in models.replace(" and ", ", ").split(", "):
        url = cluster.spawn(context.world, context.world.expand(model))
        context.models.append(cluster.model_of(context.world, url))
        context.answers.append(cluster.infer(context.world, url, tokens=5))


@then("each answered with {tokens:d} tokens")
def each_answered(context: Context, tokens: int) -> None:
    for answer in context.answers:
        assert len(standalone_worker.pieces_of(answer)) == tokens, answer.events
        assert standalone_worker.done_of(answer)["total_tokens"] == tokens
        assert len(standalone_worker.text_of(answer).split()) > 1, standalone_worker.text_of(answer)


@then("each worker names its quantization as it was made: {names}")
def named_as_made(context: Context, names: str) -> None:
    found = [model["quantization"] for model in context.models]
    assert found == names.split(", "), found


@then("what llama.cpp says of their sizes grows from each to the next")
def sizes_grow(context: Context) -> None:
    sizes = [model["model_bytes"] for model in context.models]
    assert sizes == sorted(set(sizes)), sizes
    on_disk = [model["size_bytes"] for model in context.models]
    assert all(0 < size < disk for size, disk in zip(sizes, on_disk, strict=True)), (sizes, on_disk)


@then("the preflight tells that {model} needs 1.2 times its size, and what is free")
def needs_a_fifth_more(context: Context, model: str) -> None:
    told = keeper_output.needs(context.run.stderr.text)
    size = _size_mb(context, model)
    assert (told["size"], told["required"]) == (round(size), round(1.2 * size)), (told, size)
    _free_is_true(told)


@then("the preflight tells that {model} needs its size and that of its cache, and what is free")
def needs_its_cache(context: Context, model: str) -> None:
    """30 layers, 3 heads of 64 numbers for keys and for values, two bytes each."""
    told = keeper_output.needs(context.run.stderr.text)
    cache = 8192 * 30 * 3 * 64 * 2 * 2 / 1_000_000
    size = _size_mb(context, model)
    wanted = round(size), round(cache), round(size + cache)
    assert (told["weights"], told["cache"], told["required"]) == wanted, (told, wanted)
    _free_is_true(told)


def _size_mb(context: Context, model: str) -> float:
    path = Path(context.world.expand(model).removeprefix("file:"))
    return path.stat().st_size / 1_000_000


def _free_is_true(told: dict[str, int]) -> None:
    """Others use memory too, so only about."""
    free = psutil.virtual_memory().available / 1_000_000
    assert abs(told["free"] - free) < 0.2 * free, (told, free)
