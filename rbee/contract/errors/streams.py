"""What keeps an answer from coming, or from coming whole."""

from __future__ import annotations

import msgspec

from rbee.contract.envelope import ErrorEnvelope, RbeeError

_ANOTHER_NODE = "use another node: rbee-keeper setup list-nodes names them, --node NODE takes one."


class AllSlotsBusy(RbeeError):
    code, status, keys = "ALL_SLOTS_BUSY", 503, ("slots_total", "slots_busy", "waiting")
    says = "{slots_busy} of {slots_total} slots of the worker are busy."
    advises = f"Wait for a running request to end, or {_ANOTHER_NODE}"

    def envelope(self) -> ErrorEnvelope:
        body = super().envelope().error
        total, busy = self.details["slots_total"], self.details["slots_busy"]
        if total is not None and busy is not None:
            body = msgspec.structs.replace(body, slots_total=total, slots_busy=busy)
        return ErrorEnvelope(body)


class QueueFull(RbeeError):
    code, status, keys = "QUEUE_FULL", 503, ("slots_total", "slots_busy", "waiting")
    says = "All slots are busy, and the queue is full with {waiting} waiting."
    advises = f"Wait a little, raise [queen] queue_limit, or {_ANOTHER_NODE}"


class ShuttingDown(RbeeError):
    code, status = "SHUTTING_DOWN", 503
    says = "The program is shutting down."
    advises = "Run the command again."


class RequestCanceled(RbeeError):
    code, status = "REQUEST_CANCELED", 499
    says = "The request was canceled."


class StreamTruncated(RbeeError):
    code, status, keys = "STREAM_TRUNCATED", None, ("tokens",)
    says = "The answer broke off after {tokens} tokens, without its end."
    advises = "Run the command again."
