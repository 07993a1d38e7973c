"""Everything that can go wrong, each thing once: code, HTTP status, details and message.

A program raises one of these; `rbee.runtime.server` turns it into HTTP, `rbee.runtime.client`
turns HTTP back into it, and the keeper shows `message` and `advice` to the person. The advice for
each code is in `advice.py`.

    RbeeError
    ├── nodes      NodeNotFound, SshConnectionFailed, PortBlocked, VersionMismatch,
    │              ConnectionTimeout ─── ConnectionRefused
    ├── models     ModelNotFound, ModelGated, ModelInUse, DownloadFailed, ChecksumMismatch,
    │              DiskFull, ModelCorrupt, UnsupportedModelFormat, InvalidModelRef
    ├── workers    VramExhausted, BackendUnavailable, LoadingTimeout, WorkerCrashed,
    │              ComputeFailed
    ├── requests   InvalidRequest ─┬─ PromptTooLong
    │                              ├─ NotFound, NotAllowed, NameTaken
    │                              └─ UnsupportedBody, BodyTimeout, Misdirected
    │              InvalidApiKey, KeyNotProven, WrongRole, ModelNotAllowed, TlsFailed,
    │              TooManyRequests, AllSlotsBusy, QueueFull, ShuttingDown, RequestCanceled,
    │              StreamTruncated
    └── programs   AddressInUse, ConfigInvalid, StateNotWritable, ProgramFailed,
                   Internal ─── NotOurs

On the wire: `{"error": {"code", "message", "details": {…}}}`. The keys of the details are the
class's `keys`; a raise that forgets one is a TypeError, so that no reader has to check first.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

import msgspec

from rbee.contract.advice import advice_for


class ErrorBody(msgspec.Struct, frozen=True):
    """The inside of the envelope. ALL_SLOTS_BUSY also carries its two numbers here."""

    code: str
    message: str
    details: dict[str, Any] = {}
    slots_total: int | msgspec.UnsetType = msgspec.UNSET
    slots_busy: int | msgspec.UnsetType = msgspec.UNSET


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """Every error body of every program, and the data of an `error` event."""

    error: ErrorBody


# "after 1 attempts"
_ONE = r"\b1 (attempt|token|slot|request)s\b"


class RbeeError(Exception):
    """An error that a person can act on.

    `status` is the HTTP status, None where the error never crosses HTTP. `exit_code` is the exit
    code of a command that fails with it. A detail `hint`, where there is one, takes the place of
    the advice.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int | None] = 500
    keys: ClassVar[tuple[str, ...]] = ()
    says: ClassVar[str] = "Something failed."
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        missing = [key for key in self.keys if key not in details]
        if missing:
            raise TypeError(f"{type(self).__name__} lacks its details: {', '.join(missing)}")
        self.details = details
        self.message = message or re.sub(_ONE, r"1 \1", self.says.format_map(details))
        super().__init__(self.message)

    @property
    def advice(self) -> str:
        """What to do next, in a sentence; empty if there is nothing to do."""
        hint = self.details.get("hint")
        return hint if isinstance(hint, str) and hint else advice_for(self.code, self.details)

    @property
    def retry_after_s(self) -> int | None:
        """Seconds for the Retry-After header; None if trying again soon changes nothing."""
        return 1 if self.status in (429, 503) else None

    def envelope(self) -> ErrorEnvelope:
        """The error as it stands on the wire."""
        return ErrorEnvelope(ErrorBody(self.code, self.message, self.details))

    @classmethod
    def from_body(cls, body: ErrorBody) -> RbeeError:
        """The error that another program raised; INTERNAL for an unknown code."""
        known = _by_code(RbeeError)
        found = known.get(body.code, known["INTERNAL"])
        details = dict(body.details)
        for key in found.keys:
            details.setdefault(key, None)
        return found(body.message, **details)


def _by_code(root: type[RbeeError]) -> dict[str, type[RbeeError]]:
    """Every class below `root` by its code; of two that share one, the one nearer to the root."""
    found: dict[str, type[RbeeError]] = {}
    for cls in root.__subclasses__():
        for code, sub in {**_by_code(cls), cls.code: cls}.items():
            found.setdefault(code, sub)
    return found


# Nodes


class NodeNotFound(RbeeError):
    code, status, keys = "NODE_NOT_FOUND", 404, ("node",)
    says = "There is no node named {node!r}."


class SshConnectionFailed(RbeeError):
    code, status, keys = "SSH_CONNECTION_FAILED", 502, ("host", "port", "reason")
    says = "SSH to {host}:{port} failed: {reason}."


class ConnectionTimeout(RbeeError):
    code, status, keys = "CONNECTION_TIMEOUT", 503, ("host", "port", "attempts")
    says = "No answer from {host}:{port} after {attempts} attempts."


class ConnectionRefused(ConnectionTimeout):
    """The machine answers, and nothing listens at that port."""

    code = "CONNECTION_REFUSED"
    says = "{host} refuses the connection to port {port}."


class PortBlocked(RbeeError):
    code, status, keys = "PORT_BLOCKED", 502, ("host", "port")
    says = "The hive on {host} is running, but its port {port} can't be reached."


class VersionMismatch(RbeeError):
    code, status = "VERSION_MISMATCH", 409
    keys = ("program", "version", "other_program", "other_version")
    says = "{program} is {version}, but {other_program} is {other_version}."


# Models


class ModelNotFound(RbeeError):
    code, status, keys = "MODEL_NOT_FOUND", 404, ("model", "near")
    says = "The model {model} was not found."


class ModelGated(RbeeError):
    code, status, keys = "MODEL_GATED", 403, ("model", "url")
    says = "{model} is gated: its owner gives access on request."


class ModelInUse(RbeeError):
    code, status, keys = "MODEL_IN_USE", 409, ("model", "workers")
    says = "{model} is in memory."


class DownloadFailed(RbeeError):
    code, status = "DOWNLOAD_FAILED", 502
    keys = ("model", "attempts", "bytes_downloaded", "bytes_total", "reason")
    says = "Downloading {model} failed after {attempts} attempts: {reason}."


class ChecksumMismatch(RbeeError):
    code, status, keys = "CHECKSUM_MISMATCH", 502, ("file", "expected", "actual")
    says = "The sha256 of {file} is {actual}; expected {expected}."


class DiskFull(RbeeError):
    code, status, keys = "DISK_FULL", 507, ("required", "available", "path")
    says = "{path} has {available} MB free, but {required} MB are needed."


class ModelCorrupt(RbeeError):
    code, status, keys = "MODEL_CORRUPT", 422, ("file", "reason")
    says = "{file} can't be loaded: {reason}."


class UnsupportedModelFormat(RbeeError):
    code, status, keys = "UNSUPPORTED_MODEL_FORMAT", 400, ("value", "forms")
    says = "{value} is not a GGUF model."


class InvalidModelRef(RbeeError):
    code, status, keys = "INVALID_MODEL_REF", 400, ("value", "forms")
    says = "{value!r} is not a model reference."


# Workers


class VramExhausted(RbeeError):
    """A detail `fitting` names a model of the same repository that would fit, if one is known.
    Where no node can, `others` has why each of the other nodes can't, by its name; other errors
    have that too."""

    code, status, keys = "VRAM_EXHAUSTED", 507, ("node", "device", "required", "available")
    says = "{node} has {available} MB free on {device}, but the model needs {required} MB."


class BackendUnavailable(RbeeError):
    """A detail `reinstall` is the command that builds llama.cpp for hardware that is present."""

    code, status, keys = "BACKEND_UNAVAILABLE", 409, ("backend", "available")
    says = "This node has no backend {backend!r}."


class LoadingTimeout(RbeeError):
    code, status, keys = "LOADING_TIMEOUT", 504, ("node", "state", "layers_loaded", "layers_total")
    says = "Loading stalled at {layers_loaded} of {layers_total} layers."


class WorkerCrashed(RbeeError):
    code, status = "WORKER_CRASHED", 502
    keys = ("worker_id", "node", "tokens", "max_tokens", "log_tail")
    says = "The worker {worker_id} on {node} ended after {tokens} of {max_tokens} tokens."


class ComputeFailed(RbeeError):
    """The model is loaded, but an answer could not be computed. `reason` says what llama.cpp made
    of it, or that the results are not numbers."""

    code, status, keys = "COMPUTE_FAILED", 500, ("file", "reason")
    says = "{file} can't be computed: {reason}."


# Requests and answers


class InvalidRequest(RbeeError):
    """`errors` is a list of `{field, constraint, message, value}`."""

    code, status, keys = "INVALID_REQUEST", 400, ("errors",)
    says = "The request is not valid."

    @classmethod
    def of(
        cls,
        field: str,
        constraint: str,
        message: str,
        value: object = None,
        hint: str | None = None,
    ) -> Self:
        """The error of one field."""
        error = {"field": field, "constraint": constraint, "message": message, "value": value}
        extras = {} if hint is None else {"hint": hint}
        return cls(f"The request is not valid: {field}: {message}", errors=[error], **extras)


class PromptTooLong(InvalidRequest):
    code = "PROMPT_TOO_LONG"


class NotFound(InvalidRequest):
    """A route, a worker or a request that does not exist."""

    status = 404


class NotAllowed(InvalidRequest):
    """A request that may come from a web page of somebody else."""

    status = 403


class NameTaken(InvalidRequest):
    """A name that something else has already."""

    status = 409


class UnsupportedBody(InvalidRequest):
    """A body that is compressed, or is not said to be JSON."""

    status = 415


class Misdirected(InvalidRequest):
    """A request for a proof at an address that is not the daemon's."""

    status = 421


class BodyTimeout(InvalidRequest):
    """A body that did not come in time."""

    status = 408


class InvalidApiKey(RbeeError):
    code, status, keys = "INVALID_API_KEY", 401, ("host",)
    says = "{host} does not accept the API key."


class KeyNotProven(RbeeError):
    """The program at an address has not proven that it knows our key, so nothing was sent to it.
    `holder` says which it is, if this machine knows."""

    code, status, keys = "KEY_NOT_PROVEN", 502, ("address", "holder")
    says = "What listens at {address} can't prove that it has the API key; nothing was sent to it."


class WrongRole(RbeeError):
    """The key is known, and does not open this. `key` is its name."""

    code, status, keys = "WRONG_ROLE", 403, ("key", "role", "required")
    says = "The key {key} has the role {role}; this needs the role {required}."


class ModelNotAllowed(RbeeError):
    """`allowed` are the models that the key may use; if empty, all but files by their path. `model`
    is not the reference of what only the operator knows: the default, or the file of an alias."""

    code, status, keys = "MODEL_NOT_ALLOWED", 403, ("key", "model", "allowed")
    says = "The key {key} may not use {model}."


class TooManyRequests(RbeeError):
    code, status, keys = "TOO_MANY_REQUESTS", 429, ("key", "limit")
    says = "The key {key} may have {limit} requests in flight at once, and no place is left."


class TlsFailed(RbeeError):
    """No TLS connection that can be trusted. `reason` is `unknown_ca`, `wrong_name`, `expired`,
    `not_yet_valid`, `no_tls` (the server does not speak TLS), or `tls_required`: the queen's answer
    to plain HTTP."""

    code, status, keys = "TLS_FAILED", 400, ("host", "port", "reason")
    says = "There is no TLS connection to {host}:{port} that can be trusted: {reason}."


class AllSlotsBusy(RbeeError):
    code, status, keys = "ALL_SLOTS_BUSY", 503, ("slots_total", "slots_busy", "waiting")
    says = "{slots_busy} of the worker's {slots_total} slots are busy."

    def envelope(self) -> ErrorEnvelope:
        body = super().envelope().error
        total, busy = self.details["slots_total"], self.details["slots_busy"]
        if total is not None and busy is not None:
            body = msgspec.structs.replace(body, slots_total=total, slots_busy=busy)
        return ErrorEnvelope(body)


class QueueFull(RbeeError):
    """If it is the limit of one key that is reached, `key` and `queue_limit` say so, and `waiting`
    counts the tasks of that key."""

    code, status, keys = "QUEUE_FULL", 503, ("slots_total", "slots_busy", "waiting")
    says = "All slots are busy, and the queue is full: {waiting} requests are waiting."


class ShuttingDown(RbeeError):
    code, status = "SHUTTING_DOWN", 503
    says = "The program is shutting down."


class RequestCanceled(RbeeError):
    code, status = "REQUEST_CANCELED", 499
    says = "The request was canceled."


class StreamTruncated(RbeeError):
    code, status, keys = "STREAM_TRUNCATED", None, ("tokens",)
    says = "The answer broke off after {tokens} tokens, before its end."


class StreamSilent(StreamTruncated):
    """Nothing came for so long that its reader gave it up. The other side may still be there."""


# Our own programs


class AddressInUse(RbeeError):
    """An address that can't be bound. If another program holds it, `holder` says which."""

    code, status, keys = "ADDRESS_IN_USE", None, ("address", "holder")
    says = "{address} is in use."


class ConfigInvalid(RbeeError):
    """A config file, environment variable or flag with a value that is not allowed."""

    code, status, keys, exit_code = "CONFIG_INVALID", None, ("source", "key"), 2
    says = "{source}: {key} is not valid."


class StateNotWritable(RbeeError):
    code, status, keys = "STATE_NOT_WRITABLE", None, ("path", "reason")
    says = "{path} can't be written: {reason}."


class ProgramFailed(RbeeError):
    """A program that did not start, or could not do its work; `reason` is its last output."""

    code, status, keys = "PROGRAM_FAILED", 502, ("program", "reason")
    says = "{program} did not start: {reason}"


class Internal(RbeeError):
    code, status, keys = "INTERNAL", 500, ("correlation_id",)
    says = "An error occurred inside rbee."


class NotOurs(Internal):
    """The program that answers is not part of rbee, or does not speak our protocol."""
