"""What a person at this machine sees: what was asked for on stdout, everything else on stderr."""

from __future__ import annotations

import sys

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.events import Download, Event, Narration
from rbee.contract.models import ModelDetails, ModelRows
from rbee.contract.nodes import Detected
from rbee.contract.registry import HiveStatus
from rbee.hive.hardware import placement
from rbee.runtime import listings
from rbee.runtime.error_text import explain, retrying, visible_correlation_id
from rbee.runtime.listings import megabytes, table


class Console:
    """`as_json`: one JSON document in place of a text."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._tenths = 0

    def show(self, found: object, text: str) -> None:
        """What was asked for."""
        if self.as_json:
            text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        print(text, flush=True)

    def note(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def error(self, error: RbeeError) -> None:
        self.note(explain(error, visible_correlation_id()))

    def narrate(self, said: Narration) -> None:
        self.note(f"[{said.actor}] {said.emoji} {said.text}")

    def progress(self, event: Event | None) -> None:
        """A download in tenths, and its new beginnings."""
        if not isinstance(event, Download):
            return
        if event.stage == "retrying":
            self.note(f"[model-provisioner] 🔁 {retrying(event)}")
        elif event.bytes_total and (tenths := 10 * (event.bytes_downloaded or 0)) > 0:
            tenths //= event.bytes_total
            if tenths > self._tenths:
                self._tenths = tenths
                told = f"{10 * tenths} % of {megabytes(event.bytes_total)}"
                self.note(f"[model-provisioner] ⬇️ {told}")


def of_detected(found: Detected) -> str:
    """The hardware, device by device, and whether llama.cpp computes on it."""
    rows = []
    for each in found.hardware:
        used = found.devices.get(each.backend, 0) > each.index
        cells = megabytes(each.memory_total_bytes), megabytes(each.memory_free_bytes)
        if not each.memory_total_bytes:
            cells = "unknown", "unknown"
        rows.append((placement.label(each), each.name, *cells, "yes" if used else "no"))
    lines = [
        table(("DEVICE", "NAME", "MEMORY", "FREE", "USABLE"), rows),
        f"llama.cpp computes on: {', '.join(found.backends)}",
    ]
    if found.advice:
        lines += [
            "To use what it can't use yet, build it again:",
            *map("    {}".format, found.advice),
        ]
    return "\n".join(lines)


def of_status(found: HiveStatus, pid: int | None) -> str:
    """Whether it runs, where, and its workers."""
    if found.state == "stopped":
        return "No rbee-hive runs here."
    version = f" {found.version}" if found.version else ""
    lines = [f"rbee-hive{version} runs at {found.url} (pid {pid}), {found.state}"]
    if found.error:
        lines.append(f"It can't be asked for more: {found.error}")
    elif found.workers:
        heads = ("WORKER", "MODEL", "DEVICE", "STATE", "FREE SLOTS")
        rows = [
            (
                row.id,
                row.model_ref,
                "cpu" if row.backend == "cpu" else f"{row.backend}:{row.device}",
                row.state,
                f"{row.slots_available} of {row.slots_total}",
            )
            for row in found.workers
        ]
        lines.append(table(heads, rows))
    else:
        lines.append("It has no workers.")
    return "\n".join(lines)


def of_models(found: ModelRows) -> str:
    return table(listings.MODEL_HEADS, [listings.model_cells(row) for row in found.models])


def of_disk(found: ModelRows) -> str:
    free, total = megabytes(found.disk_free_bytes), megabytes(found.disk_total_bytes)
    return f"{listings.usage(found.models)}\n{free} of {total} are free at {found.folder}"


def of_model(found: ModelDetails) -> str:
    return listings.described(found, "rbee-hive models verify")
