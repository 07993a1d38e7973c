"""A worker's row, as the queen passes it on."""

from __future__ import annotations

from rbee.contract.workers import NodeWorkerRow, WorkerRow


def test_the_queens_row_has_everything_of_the_hives_and_the_node() -> None:
    row = WorkerRow("worker-1", "http://w:8001", "hf:a/b", "cuda", 3, "busy", 11, 12, 4, 2, 8192)
    assert NodeWorkerRow.of("attic", row) == NodeWorkerRow(
        worker_id="worker-1",
        node="attic",
        state="busy",
        model_ref="hf:a/b",
        url="http://w:8001",
        backend="cuda",
        device=3,
        slots_total=4,
        slots_available=2,
        context=8192,
    )
