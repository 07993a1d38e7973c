"""Replies of the programs, read strictly: errors, embeddings, scores, metrics for Prometheus.

An error comes as an HTTP status before the first byte, and as an event after it.
"""

import base64
import re
from dataclasses import dataclass
from email.message import Message
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.world.http_client import EventStream, Reply


@dataclass(frozen=True)
class ErrorReply:
    """`status` is the HTTP status: 200 if the error came as an event."""

    status: int
    headers: Message
    error: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.error["code"])

    @property
    def message(self) -> str:
        return str(self.error["message"])

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.error["details"])


def error_of(reply: Reply) -> ErrorReply:
    assert reply.status >= 400, f"not an error: {reply.status} {reply.body[:500]!r}"
    return ErrorReply(reply.status, reply.headers, _envelope(reply.json))


def error_of_stream(stream: EventStream, within: float) -> ErrorReply:
    """Return the stream's refusal, or its error event once it has ended."""
    if stream.refused is not None:
        return error_of(stream.refused)
    stream.wait_for_end(within)
    errors = stream.named("error")
    assert len(errors) == 1, f"one error event was expected: {stream.events[-5:]}"
    return ErrorReply(200, Message(), _envelope(errors[0].data))


def _envelope(body: Any) -> dict[str, Any]:
    if set(body) == {"error", "rbee"}:  # in Ollama's protocol, ours is beside it
        body = {"error": {**body["rbee"], "message": body["error"]}}
    # In Anthropic's protocol there are two fields beside it.
    assert set(body) in ({"error"}, {"error", "type", "request_id"}), f"not the envelope: {body}"
    error = dict(body["error"])
    if "rbee" in error:  # in a protocol of others, ours is inside
        error = {**error["rbee"], "message": error["message"]}
    assert {"code", "message", "details"} <= set(error), f"not the error envelope: {body}"
    return error


_ABOUT = re.compile(r"≈ (\S+) ± (\S+)")


def fits(wanted: Any, found: Any) -> bool:
    """Whether a value is as a feature writes it, in which … stands for any text; alone, for any
    but the empty one. "≈ 100 ± 5" is a number from 95 to 105."""
    if isinstance(wanted, dict):
        same = isinstance(found, dict) and wanted.keys() == found.keys()
        return same and all(fits(each, found[key]) for key, each in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(wanted) == len(found)
        return same and all(fits(*pair) for pair in zip(wanted, found, strict=True))
    if isinstance(wanted, str) and (about := _ABOUT.fullmatch(wanted)):
        number = isinstance(found, int | float) and not isinstance(found, bool)
        return number and abs(found - float(about[1])) <= float(about[2])
    if isinstance(wanted, str) and "…" in wanted and isinstance(found, str):
        pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
        return bool(found) and re.fullmatch(pattern, found, re.DOTALL) is not None
    return type(wanted) is type(found) and bool(wanted == found)


@dataclass(frozen=True)
class Embeddings:
    """One row for each text."""

    model: str
    matrix: npt.NDArray[np.float64]
    indices: list[int]
    usage: dict[str, Any]

    def norms(self) -> list[float]:
        return [float(length) for length in np.linalg.norm(self.matrix, axis=1)]

    def greatest_difference(self, one: int, other: int) -> float:
        """The greatest difference between two numbers in the same place."""
        return float(np.abs(self.matrix[one] - self.matrix[other]).max())

    def cosine(self, one: int, other: int) -> float:
        return float(self.matrix[one] @ self.matrix[other])


def embeddings(reply: Reply) -> Embeddings:
    assert reply.status == 200, (reply.status, reply.body[:500])
    body = reply.json
    assert set(body) == {"object", "model", "data", "usage"}, set(body)
    assert body["object"] == "list", body["object"]
    for item in body["data"]:
        assert set(item) == {"object", "index", "embedding"}, set(item)
        assert item["object"] == "embedding", item["object"]
    matrix = np.array([numbers(item["embedding"]) for item in body["data"]], dtype=np.float64)
    return Embeddings(
        body["model"], matrix, [item["index"] for item in body["data"]], body["usage"]
    )


def numbers(embedding: object) -> Any:
    """A vector, which may be the base64 of float32 numbers, the lowest byte first."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    return embedding


@dataclass(frozen=True)
class Ranking:
    """`scores` are those of the documents by their places in the request, in the reply's order."""

    model: str
    scores: dict[int, float]
    usage: dict[str, Any]


def ranking(reply: Reply) -> Ranking:
    assert reply.status == 200, (reply.status, reply.body[:500])
    body = reply.json
    assert set(body) == {"object", "model", "results", "usage"}, set(body)
    assert body["object"] == "list", body["object"]
    for item in body["results"]:
        assert set(item) == {"index", "relevance_score"}, set(item)
    scores = {item["index"]: item["relevance_score"] for item in body["results"]}
    assert len(scores) == len(body["results"]), body["results"]
    return Ranking(body["model"], scores, body["usage"])


_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)(?: \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class Metrics:
    """Each sample by its name and its labels."""

    def __init__(self, text: str) -> None:
        self._samples: dict[tuple[str, Labels], float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = _SAMPLE.match(line)
                assert match, f"not a Prometheus sample: {line!r}"
                labels = frozenset(_LABEL.findall(match["labels"] or ""))
                self._samples[match["name"], labels] = float(match["value"])

    def value(self, name: str, **labels: str) -> float:
        found = self._samples.get((name, frozenset(labels.items())))
        assert found is not None, f"no {name} {labels}; there are {sorted(self.names())}"
        return found

    def names(self) -> set[str]:
        return {name for name, _ in self._samples}

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Every sample of that name above 0, by one of its labels."""
        return {each: value for each, value in self.all_by_label(name, label).items() if value}

    def all_by_label(self, name: str, label: str) -> dict[str, float]:
        """The same, with those of 0."""
        return {
            dict(labels)[label]: value
            for (found, labels), value in self._samples.items()
            if found == name
        }
