"""What streams carry. The type of an event is its `event:` name; `data:` is one of these as JSON.

`NAMES` ties the two: a type stands for exactly one name. A stream ends with `data: [DONE]`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rbee.contract.daemons import Hold
from rbee.contract.errors import ErrorEnvelope
from rbee.contract.logs import LogLine
from rbee.contract.models import DownloadReply
from rbee.contract.nodes import HiveGone, NodeFacts
from rbee.contract.overview import Overview
from rbee.contract.workers import NodeWorkerRow, WorkerGone, WorkerRow, WorkerStatus

DONE = "[DONE]"

StopReason = Literal["MAX_TOKENS", "EOS", "STOP_SEQUENCE", "CONTEXT_FULL", "TOOL_CALLS"]
Channel = Literal["text", "reasoning", "tool_call"]


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first event of /v2/tasks and /v1/inference, so that a request can be canceled early. A
    worker says how many tokens the prompt has."""

    request_id: str
    prompt_tokens: int | None = None


class Queued(msgspec.Struct, frozen=True):
    """`position` counts from 1; `waiting` is the number of all waiting requests."""

    position: int
    waiting: int


class Narration(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of progress for a person, shown as `[actor] emoji text`."""

    actor: str
    text: str
    correlation_id: str
    emoji: str | None = None
    node: str | None = None


class Loading(msgspec.Struct, frozen=True, omit_defaults=True):
    """Progress of loading a model. `vram_mb` is what is in memory so far, in MB (10⁶ bytes)."""

    stage: Literal["loading_to_vram", "ready"]
    layers_loaded: int | None = None
    layers_total: int | None = None
    vram_mb: float | None = None


class Download(msgspec.Struct, frozen=True, omit_defaults=True):
    """Progress of a download; which fields are set depends on `stage`. Bytes, and MB per second.

    `from_node` is the node that the bytes come from; without it they come from the Hub. `checked`
    says which value the whole file was compared with: the Hub's, or if the Hub could not be asked,
    that of the node.
    """

    stage: Literal["downloading", "complete", "retrying"]
    bytes_downloaded: int | None = None
    bytes_total: int | None = None
    speed_mbps: float | None = None
    local_path: str | None = None
    attempt: int | None = None
    attempts: int | None = None
    delay_ms: int | None = None
    reason: str | None = None
    checked: Literal["sha256", "size"] | None = None
    from_node: str | None = None


class Verify(msgspec.Struct, frozen=True, omit_defaults=True):
    """Progress of a verification. `compared` is true if there was a sha256 to compare with, and it
    matched; otherwise the new one is kept for next time."""

    stage: Literal["hashing", "complete"]
    file: str | None = None
    bytes_hashed: int | None = None
    bytes_total: int | None = None
    sha256: list[str] | None = None
    compared: bool | None = None


class Started(msgspec.Struct, frozen=True, omit_defaults=True):
    """The worker has the request: which worker, on which node, with which model, and how many
    tokens of prompt. It comes again if that one ends before its first token, and another one has
    it."""

    request_id: str
    model: str
    worker_id: str
    node: str
    prompt_tokens: int | None = None


class Prefill(msgspec.Struct, frozen=True):
    """How far the prompt has been read, in tokens. `cached` of them were already in the KV cache.
    At most ten events a second, each after a step that leaves some unread."""

    tokens_read: int
    tokens_total: int
    cached: int


class Snapshot(msgspec.Struct, frozen=True):
    """The first event of a hive's /v1/events: its workers and the facts of its node at this moment.
    `facts` are null until the node has been looked at; the event `facts` follows then."""

    workers: list[WorkerRow]
    facts: NodeFacts | None


class Resumed(msgspec.Struct, frozen=True):
    """The first event of a hive's /v1/events for a client whose Last-Event-ID the hive still knows:
    the `missed` events that came after that one follow, then what happens."""

    missed: int


class LikelyToken(msgspec.Struct, frozen=True):
    """A token, and the natural logarithm of its probability; -9999 stands for none. `bytes` are
    those of `token`, which may be part of a character, or how a control token is spelled."""

    token: str
    bytes: list[int]
    logprob: float


class TokenLogprob(LikelyToken, frozen=True):
    """`top` are the likeliest tokens in its place, the likeliest first."""

    top: list[LikelyToken] = []


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which call of a function a token belongs to. The first token of a call has id and name."""

    index: int
    id: str | None = None
    name: str | None = None


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event for each generated token. `token` is text, never half a UTF-8 character; `index`
    counts tokens from 0. If a token ends one channel, or one call, and begins another, each has an
    event with the same index.

    The text is empty if the token is part of a character, or might begin a stop sequence or the
    mark of another channel; the text then comes with a later token. If an answer ends while text is
    held back, one more event has it. Marks are not text, nor are the blanks around them.

    In the channel `tool_call`, `token` is a part of the arguments' JSON, and `call` says of which
    call. The parts make up whatever the model wrote there, which may not be valid. A call of a
    function that is not among the tools is text. `logprob` is there if it was asked for.
    """

    token: str
    index: int
    channel: Channel = "text"
    call: Call | None = None
    logprob: TokenLogprob | None = None


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proof that an answer is complete.

    `time_to_first_token_ms` counts from the request's arrival at the worker; `tokens_per_second` is
    the decode rate, from the first token to the last. `cached_tokens` of the prompt were already in
    the KV cache. `total_tokens` does not count the end-of-sequence token. `stop_sequence` is that
    before which the answer ended, if one ended it.
    """

    done: Literal[True]
    total_tokens: int
    duration_ms: float
    prompt_tokens: int
    cached_tokens: int
    time_to_first_token_ms: float
    tokens_per_second: float
    stop_reason: StopReason
    stop_sequence: str | None = None


Event = (
    Accepted
    | Queued
    | Narration
    | Loading
    | Download
    | Verify
    | Started
    | Prefill
    | Token
    | Done
    | ErrorEnvelope
    | Hold
    | WorkerStatus
    | WorkerRow
    | WorkerGone
    | HiveGone
    | NodeFacts
    | Snapshot
    | Resumed
    | Overview
    | LogLine
    | NodeWorkerRow
    | DownloadReply
)

NAMES: dict[type[Event], str] = {
    Accepted: "accepted",
    Queued: "queued",
    Narration: "narration",
    Loading: "loading",
    Download: "download",
    Verify: "verify",
    Started: "started",
    Prefill: "prefill",
    Token: "token",
    Done: "done",
    ErrorEnvelope: "error",
    Hold: "hold",
    WorkerStatus: "status",
    WorkerRow: "worker",
    WorkerGone: "worker_gone",
    HiveGone: "hive_gone",
    NodeFacts: "facts",
    Snapshot: "snapshot",
    Resumed: "resumed",
    Overview: "nodes",
    LogLine: "log",
    NodeWorkerRow: "ready",
    DownloadReply: "download_reply",
}
TYPES: dict[str, type[Event]] = {name: kind for kind, name in NAMES.items()}
