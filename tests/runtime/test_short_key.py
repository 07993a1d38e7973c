"""A daemon whose key can be guessed says so when it starts, and starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WARNING = "is short enough to be guessed"


@pytest.mark.parametrize(("key", "warned"), [("x" * 23, 1), ("x" * 24, 0)])
def test_a_daemon_with_a_short_key_says_once_what_to_do(home: Path, key: str, warned: int) -> None:
    file = home / "a key"
    file.write_text(key)
    environment = {**os.environ, "RBEE_AUTH_API_KEY_FILE": str(file), "RBEE_LOG_FORMAT": "json"}
    hive = subprocess.Popen(
        [Path(sys.executable).with_name("rbee-hive"), "daemon", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        assert hive.stdout is not None
        assert json.loads(hive.stdout.readline())["program"] == "rbee-hive"
    finally:
        hive.terminate()
        _, logged = hive.communicate(timeout=20)
    assert logged.count(WARNING) == warned, logged
    assert (f"openssl rand -hex 32 > '{file}'" in logged) == bool(warned)
    assert key not in logged
