"""The reply of /v1/embeddings, read strictly, and what vectors have to do with each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.world.calls import Reply


@dataclass(frozen=True)
class Vectors:
    """One row a text."""

    matrix: npt.NDArray[np.float64]
    indices: list[int]
    usage: dict[str, Any]

    def lengths(self) -> list[float]:
        return [float(length) for length in np.linalg.norm(self.matrix, axis=1)]

    def apart(self, one: int, other: int) -> float:
        """The greatest difference of two numbers at the same place."""
        return float(np.abs(self.matrix[one] - self.matrix[other]).max())

    def cosine(self, one: int, other: int) -> float:
        return float(self.matrix[one] @ self.matrix[other])


def of(reply: Reply) -> Vectors:
    assert reply.status == 200, (reply.status, reply.body[:500])
    body = reply.json
    assert set(body) == {"object", "model", "data", "usage"}, set(body)
    assert body["object"] == "list", body["object"]
    assert body["model"], "it does not say which model"
    for item in body["data"]:
        assert set(item) == {"object", "index", "embedding"}, set(item)
        assert item["object"] == "embedding", item["object"]
    matrix = np.array([item["embedding"] for item in body["data"]], dtype=np.float64)
    return Vectors(matrix, [item["index"] for item in body["data"]], body["usage"])
