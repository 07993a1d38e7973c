"""What a GGUF file's header says, and what comes of it."""

import re
from dataclasses import asdict

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import bundled_path, bundled_reader, read_header
from harness.watching import keeper_output, standalone_worker
from harness.world import cluster, commands

_CHAT = "<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n"
_MOST_TOKENS = 60


@then("the model-loader reports {facts}")
def loader_reports(context: Context, facts: str) -> None:
    reported = [
        line
        for line in keeper_output.narration(context.run.stderr.text)
        if "[model-loader]" in line
    ]
    assert any(all(word in line for word in facts.split(", ")) for line in reported), reported


@then("it reports how long the load took, which is part of the time of the command")
def load_took(context: Context) -> None:
    said = keeper_output.narration(context.run.stderr.text)
    (took,) = [found[1] for line in said if (found := re.search(r"is loaded, in (\S+) s$", line))]
    assert 0 <= float(took) <= context.run.took, (took, context.run.took)


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
    """The context is the one that the worker was started with, beside the trained one."""
    known = read_header(bundled_reader())
    wanted = {
        **asdict(known),
        "context": int(commands.options(context.standalone.process.cmdline())["context"]),
        "file": str(bundled_path()),
        "size_bytes": bundled_path().stat().st_size,
    }
    assert {name: context.model.get(name) for name in wanted} == wanted, context.model
    others = {"format", "loader", "model_bytes"}
    assert set(context.model) == {*wanted, *others}, context.model


@then("its size in memory is what llama.cpp itself reports")
def size_in_memory(context: Context) -> None:
    assert context.model["model_bytes"] == context.model_files.reference_decoder.model_bytes, (
        context.model
    )


@when("it is asked for an answer that ends early, with and without obeying the end")
def ends_early(context: Context) -> None:
    context.answers = [
        context.standalone.answer(_CHAT, _MOST_TOKENS, ignore_eos=ignoring)
        for ignoring in (False, True)
    ]


@then("the first has fewer tokens and the reason {early}, the second all of them and {late}")
def ended_early(context: Context, early: str, late: str) -> None:
    first, second = (standalone_worker.done_of(answer) for answer in context.answers)
    assert (first["stop_reason"], second["stop_reason"]) == (early, late), (first, second)
    assert 0 < first["total_tokens"] < second["total_tokens"] == _MOST_TOKENS, (first, second)
    assert first["total_tokens"] == len(standalone_worker.pieces_of(context.answers[0])), first


@then("at the end of the first, the header's end-of-sequence token comes next")
def end_to_come(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.answers[0])
    coming = context.model_files.reference_decoder.next_token(_CHAT, pieces)
    assert coming == read_header(bundled_reader()).eos_token_id, (coming, pieces)


@then("the sizes that llama.cpp reports grow from each to the next")
def sizes_grow(context: Context) -> None:
    sizes = [model["model_bytes"] for model in context.models]
    assert sizes == sorted(set(sizes)), sizes
    on_disk = [model["size_bytes"] for model in context.models]
    assert all(0 < size < disk for size, disk in zip(sizes, on_disk, strict=True)), (sizes, on_disk)
