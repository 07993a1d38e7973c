"""The harness judges the same wherever it was started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
WHAT_A_CHILD_IGNORES = """
import subprocess, sys
from harness.hooks import ignore_signals_alone
ignore_signals_alone()
subprocess.run(["grep", "SigIgn", "/proc/self/status"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process ignores")
def test_what_a_background_job_ignores_is_not_inherited(number: signal.Signals) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WHAT_A_CHILD_IGNORES],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    ignored = int(run.stdout.split()[1], 16)
    assert not ignored & 1 << (number - 1), run.stdout
