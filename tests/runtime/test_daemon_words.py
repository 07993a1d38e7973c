"""The words with which our programs start a daemon: as click reads them, and without click."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rbee.hive.cli import daemon as hive
from rbee.queen.cli import daemon as queen
from rbee.runtime import daemon_words


@pytest.mark.parametrize("host", [None, "127.0.0.1", "::1"])
@pytest.mark.parametrize("switches", [(), ("--with-hive",)])
def test_they_are_read_as_click_reads_them(host: str | None, switches: tuple[str, ...]) -> None:
    words = daemon_words.write(8080, host, *switches)
    by_click = queen.make_context("queen-rbee", words[1:]).params
    assert daemon_words.read(words, "--with-hive") == by_click
    assert by_click["with_hive"] is bool(switches)


def test_a_hive_has_no_switches() -> None:
    words = daemon_words.write(0, "127.0.0.1")
    by_click = hive.make_context("rbee-hive", words[1:]).params
    assert by_click.pop("addr") is None
    assert daemon_words.read(words) == by_click
    assert daemon_words.read([*words, "--with-hive"]) is None


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "daemon",
        "daemon --lifeline",
        "daemon --port 8080",
        "daemon --lifeline --port eighty",
        "daemon --lifeline --port 65536",
        "daemon --lifeline --port 1 --show-settings",
        "daemon --lifeline --port 1 --insecure",
        "daemon --lifeline --host 127.0.0.1",
        "daemon --lifeline --port=1",
        "models list",
    ],
)
def test_what_else_a_person_types_is_left_to_click(typed: str) -> None:
    assert daemon_words.read(typed.split(), "--with-hive") is None


@pytest.mark.parametrize("program", ["queen", "hive"])
def test_a_daemon_of_ours_starts_without_click(program: str) -> None:
    words = daemon_words.write(0, "127.0.0.1")
    command = [sys.executable, "-P", "-X", "importtime", "-m", f"rbee.{program}", *words]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert f"rbee.{program}.start" in ran.stderr
    assert "click" not in ran.stderr
