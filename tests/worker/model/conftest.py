"""The bundled model's vocabulary in a model of a layer, and what grammars allow with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from harness.model_files.synthetic import write_model
from rbee.contract.errors import InvalidRequest
from rbee.worker.model.llama import Model

Allows = Callable[[str, str], bool]


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = tmp_path_factory.mktemp("vocabulary") / "model.gguf"
    model = Model(write_model(path, 1, 64, 64), "cpu", 0, True, lambda _: True)
    yield model
    model.free()


@pytest.fixture
def allows(vocabulary: Model) -> Allows:
    """Whether a grammar allows a text, and then the end."""

    def asked(grammar: str, text: str) -> bool:
        constraint = asyncio.run(vocabulary.grammars.compile(grammar, "grammar"))
        tokens = [*vocabulary.tokenizer.tokenize(text, 1 << 30), vocabulary.ends()[0]]
        row = np.zeros(vocabulary.vocabulary_size, dtype=np.float32)
        for token in tokens:
            row[:] = 0
            constraint.restrict(row)
            if row[token] < 0:
                return False
            try:
                constraint.accept(token)
            except InvalidRequest:
                return False
        return True

    return asked
