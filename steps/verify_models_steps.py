"""The hashes of models: as the Hub has them, and as they are found again."""

from itertools import accumulate
from pathlib import Path

from behave import then
from behave.runner import Context

from harness.watching import catalog, keeper_output, models_output


@then("its events tell how far {name} is hashed, and at last its sha256, compared")
def verify_events(context: Context, name: str) -> None:
    path = context.world.models / name
    size = path.stat().st_size
    events = keeper_output.events(context.run.stdout.text)
    *hashing, last = [data for kind, data in events if kind == "verify"]
    hashed = [each.pop("bytes_hashed") for each in hashing]
    assert hashing == [{"stage": "hashing", "file": str(path), "bytes_total": size}] * len(hashing)
    assert hashed == sorted(set(hashed)), hashed
    assert hashed and 0 < hashed[0] < size and hashed[-1] <= size, (hashed, size)
    digest = catalog.sha256(path)
    assert last == {"stage": "complete", "sha256": [digest], "compared": True}, (last, digest)


@then("the sha256 of all {count:d} parts is told as the Hub has it")
def sums_of_parts(context: Context, count: int) -> None:
    parts = context.model_files.parts
    assert len(parts) == count, parts
    sums = [context.hub.blob(path.name).sha256 for path in parts]
    assert models_output.facts(context.run.stdout.text)["sha256"] == ",".join(sums), sums


@then("its events tell how far all {count:d} parts are hashed, one after the other")
def verify_parts(context: Context, count: int) -> None:
    """Those of a part lie between the end of the one before and its own."""
    parts = context.model_files.parts
    assert len(parts) == count, parts
    sizes = [path.stat().st_size for path in parts]
    ends = dict(zip([path.name for path in parts], accumulate(sizes), strict=True))
    events = keeper_output.events(context.run.stdout.text)
    *hashing, last = [data for kind, data in events if kind == "verify"]
    assert {each["bytes_total"] for each in hashing} == {sum(sizes)}, hashing
    hashed = [each["bytes_hashed"] for each in hashing]
    assert hashed == sorted(set(hashed)), hashed
    for each in hashing:
        path = Path(each["file"])
        assert 0 <= ends[path.name] - each["bytes_hashed"] < path.stat().st_size, (each, ends)
    assert last["sha256"] == [catalog.sha256(path) for path in parts], last
