"""The verbs that hands know do what the commands do whose short names they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Ack
from rbee.contract.errors import NotFound
from rbee.contract.events import Download
from rbee.contract.models import NodeModelRows
from rbee.contract.workers import NodeWorkerRow, NodeWorkerRows
from rbee.keeper.cli import main
from rbee.keeper.commands.worker import holds
from rbee.keeper.install import origin

FakeQueen = Any
Keeper = Callable[..., Any]
QWEN = "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf"


def worker(name: str, model: str) -> NodeWorkerRow:
    return NodeWorkerRow(name, "localhost", "idle", model, "http://x:1", "cpu", 0, 4, 4)


@pytest.mark.parametrize(
    ("model", "loaded", "does"),
    [
        ("qwen-0.5b", QWEN, True),
        (QWEN, QWEN, True),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF", QWEN, True),
        ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", QWEN, True),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0", QWEN, False),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M", QWEN, True),
        ("hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF", QWEN, False),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K", QWEN, False),
        ("hf:o/r:F16", "hf:o/r/model-BF16.gguf", False),
        ("hf:o/r:q8_0", "hf:o/r:Q8_0", True),
        ("mine", QWEN, True),
        ("hf:qwen/qwen2.5-0.5b-instruct-gguf", QWEN, True),
        ("file:/m/a.gguf", "file:/m/a.gguf", True),
        ("file:/m/A.gguf", "file:/m/a.gguf", False),
        ("worker-1", QWEN, False),
    ],
)
def test_a_model_in_memory_is_meant_by_any_of_its_names(
    model: str, loaded: str, does: bool
) -> None:
    assert holds(loaded, model, {"mine": "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF"}) is does


@pytest.mark.parametrize("words", [("stop",), ("worker", "stop"), ("workers", "shutdown")])
def test_stop_ends_every_worker_of_the_model(
    fake_queen: FakeQueen, keeper: Keeper, words: tuple[str, ...]
) -> None:
    models = {"worker-1": QWEN, "worker-2": "file:/m/a.gguf", "worker-3": QWEN}
    rows = [worker(name, model) for name, model in models.items()]
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows(rows))
    fake_queen.on(ep.QUEEN_WORKER_SHUTDOWN, Ack("worker-1 has ended."), Ack("worker-3 has ended."))
    done = keeper(*words, "qwen-0.5b")
    assert (done.exit_code, done.stdout) == (0, "worker-1 has ended.\nworker-3 has ended.\n")


def test_stop_takes_an_id_too(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([worker("worker-1", QWEN)]))
    fake_queen.on(ep.QUEEN_WORKER_SHUTDOWN, Ack("worker-1 has ended."))
    assert keeper("stop", "worker-1").stdout == "worker-1 has ended.\n"
    assert fake_queen.body(ep.QUEEN_WORKER_SHUTDOWN) == {"worker_id": "worker-1"}


def test_a_model_that_is_not_in_memory_says_where_to_look(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    gone = NotFound.of("worker_id", "a worker that runs", "none", "qwen-0.5b")
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([]))
    fake_queen.on(ep.QUEEN_WORKER_SHUTDOWN, gone)
    done = keeper("stop", "qwen-0.5b")
    assert done.exit_code == 1
    assert "Nothing to stop: no worker holds 'qwen-0.5b'." in done.stderr
    assert "rbee-keeper ps" in done.stderr


@pytest.mark.parametrize("words", [(), ("qwen-0.5b", "--id", "worker-1")])
def test_worker_stop_takes_a_model_or_an_id(keeper: Keeper, words: tuple[str, ...]) -> None:
    done = keeper("worker", "stop", *words)
    assert (done.exit_code, "either MODEL or --id" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("run", "qwen-0.5b", "why", "so?"), ("qwen-0.5b", "why so?")),
        (("infer", "why so?", "--model", "qwen-0.5b"), ("qwen-0.5b", "why so?")),
    ],
)
def test_a_prompt_is_an_argument(
    fake_queen: FakeQueen, keeper: Keeper, words: tuple[str, ...], asked: tuple[str, str]
) -> None:
    keeper(*words, "--max-tokens", "5")
    body = fake_queen.body(ep.QUEEN_TASKS)
    assert (body["model"], body["messages"][-1]["content"]) == asked
    assert body["max_tokens"] == 5


def test_two_prompts_are_one_too_many(keeper: Keeper) -> None:
    done = keeper("infer", "hello", "--prompt", "hi")
    assert (done.exit_code, "two prompts" in done.stderr) == (2, True)


def test_pull_and_list_are_models_download_and_list(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_DOWNLOAD, [Download("complete", local_path="/m.gguf")])
    assert keeper("pull", "qwen-0.5b").stdout == "/m.gguf\n"
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([], []))
    assert "No model was downloaded yet" in keeper("list").stderr


def test_serve_becomes_the_queen(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, words: ran.append(words))
    keeper("serve")
    [words] = ran
    assert words[-1] == "daemon"
    assert "queen" in " ".join(words)


def test_chat_needs_a_terminal(keeper: Keeper) -> None:
    done = keeper("chat", "qwen-0.5b")
    assert (done.exit_code, "needs a terminal" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [("-h",), ("help",)])
def test_older_names_stand_in_a_section_of_their_own(
    keeper: Keeper, words: tuple[str, ...]
) -> None:
    shown = keeper(*words).stdout
    own, _, rest = shown.partition("As in other programs:")
    verbs, _, older = rest.partition("Older names:")
    assert "\n  infer " in own and "\n  pool " not in own and "\n  run " not in own
    assert "\n  run " in verbs
    assert [line.split()[0] for line in older.strip().splitlines()] == ["pool", "workers"]


def test_help_shows_a_commands_help(keeper: Keeper) -> None:
    assert keeper("help", "models", "download").stdout == keeper("models", "download", "-h").stdout
    unknown = keeper("help", "modles")
    assert (unknown.exit_code, "No such command 'modles'" in unknown.stderr) == (2, True)
    assert "Did you mean 'list'?" in keeper("help", "models", "lst").stderr


def test_the_short_flags_that_hands_know(keeper: Keeper) -> None:
    assert keeper("-V").stdout == keeper("--version").stdout
    assert keeper("models", "-h").stdout == keeper("models", "--help").stdout


def test_every_alias_has_a_help_of_its_own() -> None:
    texts = [command.help for command in main.commands.values()]
    assert None not in texts
    assert len(set(texts)) == len(texts)


def test_a_seed_of_minus_one_is_any(fake_queen: FakeQueen, keeper: Keeper) -> None:
    keeper("infer", "hello", "--seed", "-1")
    assert fake_queen.body(ep.QUEEN_TASKS)["seed"] is None


# What ollama's users type beside the verbs


@pytest.mark.parametrize("flag", ["--keepalive", "--keep-alive"])
def test_run_keeps_the_model_as_long_as_either_spelling_says(
    fake_queen: FakeQueen, keeper: Keeper, flag: str
) -> None:
    keeper("run", "qwen-0.5b", flag, "5m", "hello")
    assert fake_queen.body(ep.QUEEN_TASKS)["keep_alive"] == "5m"


def test_run_format_json_asks_for_any_json_object(fake_queen: FakeQueen, keeper: Keeper) -> None:
    keeper("run", "qwen-0.5b", "--format", "json", "hello")
    assert fake_queen.body(ep.QUEEN_TASKS)["response_format"]["type"] == "json_object"


@pytest.mark.parametrize("other", ["--schema", "--grammar"])
def test_an_answer_has_one_form(keeper: Keeper, other: str) -> None:
    done = keeper("run", "m", "--format", "json", other, "x.json", "hello")
    assert (done.exit_code, f"--format can't be combined with {other}" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "m"), 'rbee-keeper run MODEL "PROMPT"'),
        (("run", "m", " "), 'rbee-keeper run MODEL "PROMPT"'),
        (("infer",), "--prompt"),
    ],
)
def test_a_missing_prompt_is_told_in_the_words_of_the_verb(
    keeper: Keeper, words: tuple[str, ...], told: str
) -> None:
    done = keeper(*words)
    assert (done.exit_code, told in done.stderr) == (2, True)
    assert ("--interactive" in done.stderr) is (words[0] == "infer")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "mine"), "[models] aliases"),
        (("cp", "a", "b"), "[models] aliases"),
        (("push", "mine"), "hf upload"),
        (("signin",), "hf auth login"),
        (("edit", "a"), "rbee-keeper help config"),
        (("show", "--modelfile", "m"), "no Modelfile"),
        (("show", "m", "--system"), "no Modelfile"),
        (("run", "m", "--nowordwrap", "hi"), "| cat"),
        (("pull", "m", "--insecure"), "HF_ENDPOINT"),
        (("run", "--model", "m"), "The model comes first: rbee-keeper run MODEL"),
        (("chat", "--prompt", "m"), "rbee-keeper run MODEL"),
        (("run", "m", "--keep-alife", "3"), "'--keep-alive'"),
        (("lsit",), "'list'"),
    ],
)
def test_what_rbee_has_under_another_name_is_told(
    keeper: Keeper, words: tuple[str, ...], told: str
) -> None:
    done = keeper(*words)
    assert (done.exit_code, told in " ".join(done.stderr.split())) == (2, True), done.stderr


def test_ls_and_v_are_list_and_version(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([], []))
    assert keeper("ls").exit_code == 0
    assert keeper("-v").stdout == keeper("--version").stdout


def test_update_says_what_is_new_and_how_to_get_it(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(origin, "here", lambda: origin.Origin("folder", str(tmp_path)))
    done = keeper("update")
    assert (done.exit_code, str(tmp_path) in done.stdout) == (0, True)
    assert keeper("update", "--json").stdout.startswith("{")
