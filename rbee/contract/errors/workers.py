"""What keeps a worker from starting, or ends it."""

from __future__ import annotations

import shlex

from rbee.contract import advice
from rbee.contract.envelope import RbeeError


class VramExhausted(RbeeError):
    code, status, keys = "VRAM_EXHAUSTED", 507, ("node", "device", "required", "available")
    says = "{node} has {available} MB free on {device}, and the model needs {required} MB."

    @property
    def advice(self) -> str:
        """`fitting` is one of the same repository that would fit, where one is known."""
        name = self.details.get("fitting")
        smaller = f", as --model {shlex.quote(str(name))}" if name else ""
        node = self.details["node"]
        return (
            f"Use a smaller quantization{smaller}, or free memory on {node}: "
            "`rbee-keeper worker list` names what holds it, `rbee-keeper worker stop --id ID` "
            "ends it."
        )


class BackendUnavailable(RbeeError):
    code, status, keys = "BACKEND_UNAVAILABLE", 409, ("backend", "available")
    says = "This node has no backend {backend!r}."

    @property
    def advice(self) -> str:
        available = f"Available here: {', '.join(self.details['available'] or ['none'])}."
        first = next(iter(self.details["available"] or []), None)
        if command := self.details.get("reinstall"):
            return (
                f"{available} The node has the hardware, but its llama.cpp was built without "
                f"support for it. Build it again there: {command}"
            )
        if first is None or " " in str(first):
            return available
        return f"{available} Ask for that, --backend {first}, or name none: the best one is taken."


class LoadingTimeout(RbeeError):
    code, status, keys = "LOADING_TIMEOUT", 504, ("node", "state", "layers_loaded", "layers_total")
    says = "Loading is stuck at {layers_loaded} of {layers_total} layers."

    @property
    def advice(self) -> str:
        node = self.details["node"]
        return (
            f"Look at the worker's log: {advice.logs_of(self.details)} (~/.rbee/logs on {node}); "
            "for a slow disk raise [hive] loading_stall_s there."
        )


class WorkerCrashed(RbeeError):
    code, status = "WORKER_CRASHED", 502
    keys = ("worker_id", "node", "tokens", "max_tokens", "log_tail")
    says = "The worker {worker_id} on {node} ended after {tokens} of {max_tokens} tokens."

    @property
    def advice(self) -> str:
        again = "Run the command again: a new worker is started."
        return f"{again} What this one said: {advice.logs_of(self.details)}"
