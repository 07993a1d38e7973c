"""What streams carry: one name for each type, one type for each name."""

from __future__ import annotations

import typing

import msgspec
import pytest

from rbee.contract import events as ev
from rbee.contract.daemons import Hold
from rbee.contract.errors import ModelNotFound
from rbee.contract.logs import LogLine
from rbee.contract.models import DownloadReply
from rbee.contract.nodes import HeldModel, HiveGone, NodeFacts
from rbee.contract.overview import NodeOverview, Overview
from rbee.contract.workers import NodeWorkerRow, WorkerGone, WorkerRow, WorkerStatus
from rbee.runtime import sse

NARRATION = ev.Narration("queen-rbee", "Zwölf\n🐝", "c1", "🐝", "localhost")
DONE = ev.Done(True, 3, 1.5, 2, 0, 0.5, 12.25, "STOP_SEQUENCE")
ROW = WorkerRow("worker-1", "http://h:1", "hf:a/b", "cpu", 0, "idle", 1.5, None, 4, 4)

ONE_OF_EACH: dict[str, ev.Event] = {
    "accepted": ev.Accepted("r-1"),
    "queued": ev.Queued(1, 2),
    "narration": NARRATION,
    "loading": ev.Loading("loading_to_vram", 3, 30, 12.5),
    "download": ev.Download("downloading", 5, 10, 0.5),
    "download_reply": DownloadReply("d-1", "hf:a/b/m.gguf", None),
    "verify": ev.Verify("hashing", "/m.gguf", 5, 10),
    "nodes": Overview([NodeOverview(node="nas", state="absent")], 2),
    "prefill": ev.Prefill(512, 2048, 256),
    "started": ev.Started("r-1", "hf:a/b", "worker-1", "localhost"),
    "token": ev.Token("é\r\n\u2028", 0),
    "done": DONE,
    "error": ModelNotFound(model="m", near=[]).envelope(),
    "hold": Hold("h-1"),
    "facts": NodeFacts(["cpu"], {"cpu": 1}, [], [HeldModel("hf:a/b/m.gguf", None, 5, 7)], 9),
    "hive_gone": HiveGone("workstation", "ended", 2),
    "log": LogLine("rbee-hive", "listening on http://h:1", "workstation"),
    "ready": NodeWorkerRow.of("workstation", ROW),
    "resumed": ev.Resumed(3),
    "snapshot": ev.Snapshot([ROW], None),
    "status": WorkerStatus("busy", 4, 3, 10.0),
    "worker": ROW,
    "worker_gone": WorkerGone("worker-1", "it crashed", -9, ["last words"], {"code": "X"}),
}


def test_names_and_types_are_each_others_inverse() -> None:
    assert len(ev.NAMES) == len(ev.TYPES)
    assert all(ev.TYPES[name] is kind for kind, name in ev.NAMES.items())


def test_every_type_of_event_has_a_name() -> None:
    assert set(typing.get_args(ev.Event)) == set(ev.NAMES)


def test_these_are_all_events_there_are() -> None:
    assert set(ONE_OF_EACH) == set(ev.TYPES)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_an_event_comes_out_of_a_stream_as_it_went_in(name: str) -> None:
    [raw] = sse.Parser().feed(sse.encode(ONE_OF_EACH[name]))
    assert raw.event == name
    assert sse.decode(raw) == ONE_OF_EACH[name]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (ev.Loading("ready"), {"stage"}),
        (ev.Download("complete", local_path="/m"), {"stage", "local_path"}),
        (ev.Download("retrying", attempt=2, attempts=6, delay_ms=100, reason="Connection reset"),
         {"stage", "attempt", "attempts", "delay_ms", "reason"}),
        (ev.Verify("hashing", "/m", 5, 10), {"stage", "file", "bytes_hashed", "bytes_total"}),
        (ev.Verify("complete", sha256=["ab"], compared=False), {"stage", "sha256", "compared"}),
        (ev.Narration("a", "t", "c"), {"actor", "text", "correlation_id"}),
        (ONE_OF_EACH["token"], {"token", "index"}),
        (ONE_OF_EACH["started"], {"request_id", "model", "worker_id", "node"}),
        (DONE, {"done", "total_tokens", "duration_ms", "prompt_tokens", "cached_tokens",
                "time_to_first_token_ms", "tokens_per_second", "stop_reason"}),
    ],
)  # fmt: skip
def test_the_data_of_an_event_has_the_contracts_fields(event: ev.Event, fields: set[str]) -> None:
    assert set(msgspec.to_builtins(event)) == fields


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "EOS", "STOP_SEQUENCE", "CONTEXT_FULL"])
def test_an_answer_ends_for_one_of_four_reasons(reason: str) -> None:
    fields = {**msgspec.to_builtins(DONE), "stop_reason": reason}
    assert msgspec.convert(fields, ev.Done).stop_reason == reason


def test_done_is_never_false() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(DONE), "done": False}, ev.Done)
