"""What a keeper printed: tokens, narration, the summary, errors, the saved text."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.world.http_client import EventStream
from harness.world.run import Run
from harness.world.waiting import wait_until
from harness.world.world import World

_NARRATION = re.compile(r"^\[[a-z-]+\] ")
_SUMMARY = re.compile(
    r"^(?P<tokens>\d+) tokens? · (?P<first_ms>\d+) ms to first token · (?P<rate>[\d.]+) tokens/s"
    r"(?: · stopped (?:at --max-tokens (?P=tokens)|because the context is full))?$"
)
_ERROR = re.compile(r"^Error \[(?P<code>[A-Z_]+)\]: (?P<message>.+)$", re.MULTILINE)
_SAVED = re.compile(r"\S*rbee-partial-[\w-]+\.txt")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_NEEDS = re.compile(
    r"needs (?P<required>\d+) MB \((?:1\.2 × (?P<size>\d+) MB"
    r"|(?P<weights>\d+) MB and (?P<cache>\d+) MB of KV cache)\), (?P<free>\d+) MB are free"
)

_AMOUNTS = re.compile(r"has (\d+) MB free on (\S+), but the model needs (\d+) MB")

_FETCHED = re.compile(r"(?P<percent>\d+) % of (?P<total>\d+) MB, (?P<speed>[\d.]+) MB/s")

_PLACED = re.compile(r"^\[queen-rbee\] 🧭 placement: (?P<node>\S+) can(?:'t)?: ")

PHASES = [
    "worker registry",
    "pool preflight",
    "model provisioning",
    "worker preflight",
    "worker startup",
    "registration",
    "worker health",
    "inference",
]


def events(stdout: str) -> list[tuple[str, Any]]:
    """Return the events that `--json` prints, one a line, without an incomplete last line."""
    complete = stdout[: stdout.rfind("\n") + 1]
    lines = [json.loads(line) for line in complete.splitlines()]
    return [(line["event"], line.get("data")) for line in lines]


def tokens(stdout: str) -> list[dict[str, Any]]:
    return [data for name, data in events(stdout) if name == "token"]


def data_of(stdout: str, wanted: str) -> dict[str, Any]:
    """Return the data of the only event with that name."""
    found = [data for name, data in events(stdout) if name == wanted]
    assert len(found) == 1, f"one {wanted!r} event was expected: {found!r}"
    return dict(found[0])


def narration(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if _NARRATION.match(line)]


def phases(stderr: str) -> list[str]:
    """Return each phase once, in the order of its first line."""
    found: list[str] = []
    for line in narration(stderr):
        found += [phase for phase in PHASES if phase in line.lower() and phase not in found]
    return found


def placement(stderr: str) -> list[str]:
    """Return the nodes in the order in which `--explain` tells of them."""
    found = [_PLACED.match(line) for line in narration(stderr)]
    return [match["node"] for match in found if match]


def phase_line(stderr: str, phase: str) -> str:
    lines = [line for line in narration(stderr) if phase in line.lower()]
    assert lines, f"{phase!r} is not in {narration(stderr)!r}"
    return lines[0]


def lines_beside_the_text(stdout: str) -> list[str]:
    """Return the lines that are narration, events or errors, or have control characters."""
    return [
        line
        for line in stdout.split("\n")
        if _NARRATION.match(line)
        or _CONTROL.search(line)
        or line.startswith(("{", "Error ["))
        or _SUMMARY.match(line)
    ]


def last_layers(progress: EventStream) -> list[str]:
    """How an error may tell where a load has stopped: by the last report, or by the one before if
    the worker was stopped when the last one was on its way."""
    told = [event.data for event in progress.named("loading")][-2:]
    return [f"at {each['layers_loaded']} of {each['layers_total']} layers" for each in told]


def summary(stderr: str) -> dict[str, float]:
    """Return tokens, first_ms and rate from the last line; a hint may follow below it."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("→ ")]
    last = lines[-1] if lines else ""
    match = _SUMMARY.match(last)
    assert match, f"the last line is not a summary: {last!r}"
    return {name: float(value) for name, value in match.groupdict().items()}


def memory_needs(stderr: str) -> dict[str, int]:
    """Return the numbers of the worker preflight: required, free, and size or weights."""
    line = next(line for line in narration(stderr) if "worker preflight: memory" in line)
    match = _NEEDS.search(line)
    assert match, f"no memory arithmetic in {line!r}"
    return {name: int(value) for name, value in match.groupdict().items() if value}


def memory_amounts(stderr: str) -> dict[str, int | str]:
    """Return what VRAM_EXHAUSTED names: required and free in MB, and the device."""
    match = _AMOUNTS.search(stderr)
    assert match, f"no amounts in {stderr!r}"
    free, device, required = match.groups()
    return {"required": int(required), "free": int(free), "device": device}


def wait_for_line(run: Run, words: str, within: float) -> list[str]:
    """Return the lines of narration and errors, once one of them contains these words."""
    return wait_until(
        f"{words!r} on standard error",
        lambda: [*narration(run.stderr.text), *_errors(run.stderr.text)],
        within,
        lambda lines: any(words in line for line in lines) or not run.running,
    )


def rows(stdout: str) -> dict[str, list[str]]:
    """Return a table's rows by their first cell; columns are two spaces or more apart."""
    cells = [re.split(r" {2,}", line) for line in stdout.splitlines() if "  " in line]
    return {first: others for first, *others in cells}


def _errors(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if _ERROR.match(line)]


def download_progress(stderr: str) -> list[tuple[int, int, float]]:
    """Return each line about a download's progress: percent, of how many MB, MB/s."""
    found = [_FETCHED.search(line) for line in narration(stderr)]
    return [
        (int(match["percent"]), int(match["total"]), float(match["speed"]))
        for match in found
        if match
    ]


def error_line(stderr: str, code: str) -> str:
    """Return the only line with this error; narration does not count."""
    (line,) = [line for line in _errors(stderr) if line.startswith(f"Error [{code}]: ")]
    return line


def error_codes(stderr: str) -> list[str]:
    return [match["code"] for match in _ERROR.finditer(stderr)]


def next_steps(stderr: str) -> list[str]:
    """Return the advice that follows an error; for a usage error, where to read more."""
    return [line for line in stderr.splitlines() if line.strip().startswith(("→ ", "Try '"))]


def saved_text(stderr: str, folder: Path, earlier: Collection[Path] = ()) -> Path:
    """Return the file that standard error names, which must be the only one of its kind, apart from
    `earlier` ones."""
    named = _SAVED.findall(stderr)
    files = sorted(set(folder.glob("rbee-partial-*.txt")) - set(earlier))
    assert len(files) == 1, f"one saved text was expected in {folder}: {files}"
    assert str(files[0]) in named, f"{files[0]} is not the one that was named: {named}"
    return files[0]


def tokens_so_far(stderr: str, wanted: int) -> int:
    """Return n of "n of m tokens"."""
    match = re.search(rf"(-?\d+) of {wanted} tokens", stderr)
    assert match, stderr
    return int(match[1])


def all_tokens_so_far(stderr: str, wanted: int) -> set[int]:
    """Return every n of "n of m tokens"."""
    return {int(count) for count in re.findall(rf"(-?\d+) of {wanted} tokens", stderr)}


_WITHIN_S = 60


@dataclass(frozen=True)
class Outcome:
    file: str
    exit_code: int
    codes: list[str]
    text: str


def infer_each(world: World, files: Iterable[str]) -> list[Outcome]:
    """Run `rbee-keeper infer` with each model; `files` are names of model_files/broken.py."""
    found = []
    for name in files:
        path = world.model_files.broken(name)
        run = world.start(
            "rbee-keeper infer --quiet --prompt hi --max-tokens 1 --model", more=[f"file:{path}"]
        )
        code = run.wait(_WITHIN_S)
        found.append(Outcome(name, code, error_codes(run.stderr.text), run.stderr.text))
    return found


def complaints(refusal: Outcome, code: str, words: str, advice: str) -> list[str]:
    """Return what is wrong with it; nothing if it is as it should be. The next step has `advice`,
    whatever else it says."""
    text = refusal.text.lower()
    told = next_steps(refusal.text)
    faults = {
        f"exit code {refusal.exit_code}": refusal.exit_code != 1,
        f"the error {refusal.codes}, not {code}": refusal.codes != [code],
        f"does not say {words!r}": words.lower() not in text,
        "no next step": not told,
        f"the next step {told} does not say {advice!r}": advice not in " ".join(told),
        "a traceback": "traceback" in text,
    }
    problems = "; ".join(fault for fault, present in faults.items() if present)
    return [f"{refusal.file}: {problems}: {refusal.text.strip()!r}"] if problems else []
