"""A standby worker: what it has ready, how it is told what to be, and how it ends unused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest

from harness.model_files.bundled import bundled_path
from rbee.contract.daemons import Assignment, Hello
from rbee.contract.nodes import Owner

WORKER = str(Path(sys.executable).with_name("llm-worker-rbee"))
HELLO = msgspec.json.encode(Hello("key", Owner("rbee-hive", 1, 1.0, "here")))

# Writes down what is imported between its assignment and its end.
PROGRAM = """
import json, sys
from pathlib import Path
from rbee.worker.cli import main
from rbee.worker.standby import wait_for_arguments
arguments = wait_for_arguments()
ready = set(sys.modules)
try:
    main(arguments)
finally:
    Path(sys.argv[1]).write_text(json.dumps(sorted(set(sys.modules) - ready)))
"""


def test_what_a_worker_needs_before_its_first_token_is_imported_before_its_assignment(
    tmp_path: Path,
) -> None:
    imported = tmp_path / "imported.json"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(imported)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    arguments = ["--model", str(bundled_path()), "--port", "0", "--lifeline"]
    process.stdin.write(msgspec.json.encode(Assignment(arguments)) + b"\n" + HELLO + b"\n")
    process.stdin.flush()
    url = json.loads(process.stdout.readline())["url"]
    deadline = time.monotonic() + 30
    while b'"model_loaded":true' not in ask(f"{url}/v1/ready"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    task = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    assert b"event: token" in ask(f"{url}/v1/inference", task)
    process.stdin.close()
    assert process.wait(10) == 0
    late = [name for name in json.loads(imported.read_text()) if not name.startswith("encodings.")]
    assert late == []


def ask(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("moment", [0.0, 1.0])
def test_it_ends_with_its_standard_input(moment: float) -> None:
    process = subprocess.Popen(
        [WORKER, "--standby"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    time.sleep(moment)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, b"")


def test_a_half_written_assignment_is_none() -> None:
    done = subprocess.run([WORKER, "--standby"], input=b'{"arguments": ["--mo', capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_a_person_types_is_refused_with_what_to_do_instead() -> None:
    done = subprocess.run([WORKER, "--standby"], input=b"hello?\n", capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"CONFIG_INVALID" in done.stderr and b"by hand" in done.stderr
