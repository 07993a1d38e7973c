"""The worker's events: what is said of its load is heard once, also by a hive that comes late."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.worker.engine.conftest import write_model

WORKER = str(Path(sys.executable).with_name("llm-worker-rbee"))


def narrated(url: str) -> list[str]:
    """What a new listener hears before the worker's status."""
    texts = []
    with urllib.request.urlopen(f"{url}/v1/events", timeout=20) as stream:
        for line in stream:
            if line.startswith(b"event: status"):
                return texts
            if line.startswith(b"data: "):
                texts.append(json.loads(line[6:])["text"])
    raise AssertionError("there was no status")


def test_who_listens_after_the_load_hears_of_it_and_nobody_hears_it_twice(tmp_path: Path) -> None:
    model = tmp_path / "noise.gguf"
    write_model(model, noise=True)
    command = [WORKER, "--model", str(model), "--port", "0", "--insecure"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as worker:
        assert worker.stdout is not None
        url = json.loads(worker.stdout.readline())["url"]
        deadline = time.monotonic() + 30
        while not loaded(url):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first, second = narrated(url), narrated(url)
        worker.terminate()
    header, template, loading = first
    assert header.startswith("GGUF for llama.cpp") and "is loaded" in loading, first
    assert "no chat template" in template and "as plain text" in template, first
    assert second == []


def loaded(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/ready", timeout=20) as answer:
            return b'"model_loaded":true' in answer.read()
    except OSError:
        return False
