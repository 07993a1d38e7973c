"""No prompt ends a worker, keeps it busy for long, or harms the answers beside it.

A real worker, so that its death is seen. A few prompts in every run; `pytest -m nightly` sends a
thousand to each of ten models that split texts by different rules.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model_files import zoo

WORKER = str(Path(sys.executable).with_name("llm-worker-rbee"))
LONGEST_S = 15.0
LARGEST = 4_000_000
PRES = (
    *("gpt-2", "llama-bpe", "qwen2", "deepseek-v3", "falcon"),
    *("tekken", "gpt-4o", "command-r", "kimi-k2", "starcoder"),
)
BESIDE = {"prompt": "Beside it", "max_tokens": 40, "temperature": 0, "ignore_eos": True}

# What tokenizers have stumbled over: runs, blanks, marks, joined characters, control tokens.
PARTS = (
    *("a", "Z", " ", "\n", "\t", "\r\n", "0", "7", "'", "'s", "!", "...", "_", "-", "="),
    *("é", "e\u0301", "ß", "Ж", "中", "の", "한", "ا", "ก", "\u200b", "\u200d", "\ufeff", "\ufffd"),
    *("🦊", "👨‍👩‍👧", "🇩🇪", "\U0010ffff", "\x00", "\x1b[0m", "\ufdd0" + "0" + "\ufdd1", "▁", "Ġ"),
    *("<|control 3|>", "<|over|>", "<|begin|>", "<|control ", "|>", "<", "[INST]", "<s>", "</s>"),
    *("def f(x):\n    return x", "https://example.org/?q=1&r=2", "lorem ipsum ", "{{ x }}"),
)


def prompt(kind: str, size: int, seed: int) -> str:
    """A text of about `size` bytes, and at least one character."""
    chance = random.Random(seed)
    if kind == "random":
        points = (chance.choice((0x7F, 0x7FF, 0xD7FF)) for _ in range(size // 2 + 1))
        return "".join(chr(chance.randint(1, most)) for most in points)
    count = 1 if kind == "run" else chance.randint(2, 8)
    parts = [chance.choice(PARTS) for _ in range(count)]
    unit = "".join(parts)
    if kind == "runs":
        unit = "".join(part * chance.randint(1, 1000) for part in parts)
    return unit * max(size // len(unit.encode()), 1)


TEXTS = st.builds(
    prompt,
    st.sampled_from(["run", "runs", "mix", "random"]),
    st.floats(0, 1).map(lambda part: round(LARGEST**part)),
    st.integers(0, 2**32),
)
# Not a text: half a character, and half a pair of surrogates.
BROKEN = st.sampled_from([b"\xff", b"\xc3", b"\xe2\x82", b"\\ud83e", b"\xed\xa0\x80"])


class Process:
    """A worker, and a stream in it that runs again and again and must always say the same."""

    def __init__(self, model: Path) -> None:
        command = [WORKER, "--model", str(model), "--slots", "3", "--insecure"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self._begin()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _begin(self) -> None:
        assert self.process.stdout is not None
        self._url = urlsplit(json.loads(self.process.stdout.readline())["url"])
        deadline = time.monotonic() + 60
        while self._get("/v1/ready")["ready"] is not True:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.slowest_s = 0.0
        self.outcomes = Counter[str]()
        self._wanted = self._text()
        self._faults: list[object] = []
        self._over = threading.Event()
        self._beside = threading.Thread(target=self._run_beside)
        self._beside.start()

    def send(self, body: bytes) -> None:
        """It must be answered in time, to the end or with an error that names what is wrong."""
        began = time.monotonic()
        status, text = self._post(body)
        took_s = time.monotonic() - began
        self.slowest_s = max(self.slowest_s, took_s)
        if status == 200:
            assert b'"done":true' in text, text[-500:]
            self.outcomes["answered"] += 1
        else:
            code = json.loads(text)["error"]["code"]
            assert (status, code) in {
                (400, "PROMPT_TOO_LONG"),
                (400, "INVALID_REQUEST"),
                (413, "INVALID_REQUEST"),  # 4 MB of control characters are 24 MB of JSON
                (503, "ALL_SLOTS_BUSY"),  # what runs beside has taken a part of the context
            }, text[:500]
            self.outcomes[code] += 1
        assert took_s <= LONGEST_S, f"{took_s:.1f} s"

    def close(self) -> None:
        """Check what ran beside, and that the worker ends in order."""
        self._over.set()
        self._beside.join()
        self.process.terminate()
        assert self.process.wait(30) == 0
        assert not self._faults, self._faults[0]

    def _run_beside(self) -> None:
        while not self._over.is_set() and not self._faults:
            try:
                text = self._text()
                if text != self._wanted:
                    self._faults.append((text, self._wanted))
            except Exception as error:
                self._faults.append(error)

    def _text(self) -> str:
        status, stream = self._post(json.dumps(BESIDE).encode())
        assert status == 200, stream
        events = [line[6:] for line in stream.splitlines() if line.startswith(b"data: {")]
        return "".join(json.loads(event).get("token", "") for event in events)

    def _get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._url.netloc, timeout=30)
        connection.request("GET", path)
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return found

    def _post(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._url.netloc, timeout=60)
        connection.request("POST", "/v1/inference", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        found = reply.status, reply.read()
        connection.close()
        return found


def bodies(text: str, chat: bool, broken: bytes | None) -> bytes:
    """The request for a text, as a prompt or as a conversation."""
    asked: dict[str, object] = {"max_tokens": 3, "temperature": 0, "ignore_eos": True}
    if chat:
        asked["messages"] = [{"role": "user", "content": text}]
    else:
        asked["prompt"] = text
    body = json.dumps(asked, ensure_ascii=False).encode(errors="surrogatepass")
    if broken is not None:
        end = body.rindex(b'"')
        body = body[:end] + broken + body[end:]
    return body


BODIES = st.builds(bodies, TEXTS, st.booleans(), st.one_of(st.none(), st.none(), st.none(), BROKEN))


@pytest.fixture
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    found = Process(zoo.write(tmp_path / "model.gguf", "llama", pre=request.param))
    yield found
    found.close()
    print(f"{request.param}: slowest {found.slowest_s:.2f} s", dict(found.outcomes))


@pytest.mark.parametrize("worker", ["llama-bpe"], indirect=True)
@settings(max_examples=60)
@given(BODIES)
def test_no_prompt_ends_a_worker(worker: Process, body: bytes) -> None:
    worker.send(body)


@pytest.mark.nightly
@pytest.mark.parametrize("worker", PRES, indirect=True)
@settings(max_examples=1000)
@given(BODIES)
def test_none_of_ten_thousand_prompts_ends_a_worker(worker: Process, body: bytes) -> None:
    worker.send(body)
