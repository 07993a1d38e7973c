"""What a program must never do: from the answers and the measurements of a case to its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.attack.exchange import LIMIT_S, Answer

# The contract's codes with a status of 500 and above. INTERNAL is one of them, and is a bug.
EXPECTED = {
    "DISK_FULL": 507,
    "VRAM_EXHAUSTED": 507,
    "CONNECTION_TIMEOUT": 503,
    "CONNECTION_REFUSED": 503,
    "SSH_CONNECTION_FAILED": 502,
    "PORT_BLOCKED": 502,
    "DOWNLOAD_FAILED": 502,
    "CHECKSUM_MISMATCH": 502,
    "ALL_SLOTS_BUSY": 503,
    "QUEUE_FULL": 503,
    "SHUTTING_DOWN": 503,
    "WORKER_CRASHED": 502,
    "LOADING_TIMEOUT": 504,
    "PROGRAM_FAILED": 502,
}
GROWTH_MB = 48.0
PEAK_MB = 400.0
LOG_BYTES = 2_000_000


@dataclass(frozen=True)
class Measured:
    """What programs have taken more after a case than before it: the one that has grown most, whose
    `name` it is. `peak_mb` is how far above the beginning one of them has been meanwhile."""

    growth_mb: float = 0.0
    peak_mb: float = 0.0
    log_bytes: int = 0
    name: str = ""


@dataclass(frozen=True)
class Bounds:
    """What a case allows; a few cases send much more than others."""

    growth_mb: float = GROWTH_MB
    peak_mb: float = PEAK_MB
    log_bytes: int = LOG_BYTES


@dataclass(frozen=True)
class Result:
    """One row of the table. `faults` is empty if the programs held."""

    case: str
    requests: int
    by_kind: dict[str, int]
    slowest_s: float
    measured: Measured
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def held(self) -> bool:
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "held": self.held}


def judge(
    case: str,
    answers: Sequence[Answer],
    measured: Measured,
    secrets: Iterable[bytes],
    bounds: Bounds = Bounds(),
    faults: Iterable[str] = (),
    took_s: float = 0.0,
) -> Result:
    """The row of a case, with what it has found by itself in `faults`."""
    found = [*faults, *_of_measurements(measured, bounds)]
    secret = [each for each in secrets if each]
    for answer in answers:
        found += _of_answer(answer, secret)
    kinds = Counter(answer.kind for answer in answers)
    slowest = max((answer.took_s for answer in answers), default=0.0)
    some = list(dict.fromkeys(found))
    return Result(case, len(answers), dict(kinds), slowest, measured, some, took_s)


def _of_answer(answer: Answer, secrets: Sequence[bytes]) -> list[str]:
    found = []
    code, status = answer.code, answer.status
    if status == -1 or answer.took_s > LIMIT_S:
        found.append(f"{answer.to}: no answer within {LIMIT_S:g} s")
    known = EXPECTED.get(code) == status if code else status in EXPECTED.values()
    if status >= 400 and not code and not answer.only_head and not answer.in_shape:
        found.append(f"{answer.to}: {status} without the envelope: {answer.body[:120]!r}")
    elif status >= 500 and not answer.only_head and not known:
        found.append(f"{answer.to}: {status} {code}: {answer.body[:200]!r}")
    elif status == 200 and b'"code":"INTERNAL"' in answer.body:
        found.append(f"{answer.to}: INTERNAL in a stream: {answer.body[-200:]!r}")
    if any(secret in answer.body for secret in secrets):
        found.append(f"{answer.to}: a key is in the answer")
    if b"Traceback (most recent call last)" in answer.body:
        found.append(f"{answer.to}: a traceback is in the answer")
    return found


def _of_measurements(measured: Measured, bounds: Bounds) -> list[str]:
    found = []
    if measured.growth_mb > bounds.growth_mb:
        found.append(f"memory has grown by {measured.growth_mb:.0f} MB ({measured.name})")
    if measured.peak_mb > bounds.peak_mb:
        found.append(f"memory was {measured.peak_mb:.0f} MB higher meanwhile")
    if measured.log_bytes > bounds.log_bytes:
        found.append(f"the logs have grown by {measured.log_bytes / 1e6:.1f} MB")
    return found
