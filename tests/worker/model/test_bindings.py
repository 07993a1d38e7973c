"""What the libraries below llama.cpp are told before they are loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SPINS = """
import os
from rbee.worker.model import bindings
print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "passive"}, "None"),
    ],
)
def test_waiting_threads_give_the_processor_up_unless_the_operator_says_otherwise(
    given: dict[str, str], told: str
) -> None:
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    command = [sys.executable, "-c", SPINS]
    done = subprocess.run(command, env=ours | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
