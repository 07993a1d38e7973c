"""Standard output and standard error whose reader has gone, or which have no room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rbee.runtime import outputs


def python(code: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, with its own outputs."""
    words = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(words, text=True, timeout=30, check=False, **how)  # type: ignore[call-overload,no-any-return]  # `how` is what its callers say


def test_a_full_disk_is_named_and_fails_only_once() -> None:
    with Path("/dev/full").open("w") as full:
        done = python(
            """
            from rbee.runtime import outputs
            from rbee.contract.errors import StateNotWritable
            try:
                outputs.write("a story")
            except StateNotWritable as error:
                outputs.write_error(error.message)
            outputs.write("its last line end")
            """,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (
        0,
        "Standard output can't be written: No space left on device.",
    )


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_after_the_reader_has_gone_nothing_fails_at_exit(stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    done = python(
        """
        import sys
        from rbee.runtime import outputs
        outputs.write_error("told")
        try:
            outputs.write("written")
        except BrokenPipeError:
            sys.exit(41)
        """,
        **{stream: write, other: subprocess.PIPE},
    )
    os.close(write)
    expected = {"stdout": (41, "told"), "stderr": (0, "written")}
    assert (done.returncode, getattr(done, other)) == expected[stream]


def test_closed_outputs_do_not_write_into_a_file_opened_later(tmp_path: Path) -> None:
    code = (
        "from rbee.runtime import outputs; outputs.prepare(); "
        f"file = open({str(tmp_path / 'f')!r}, 'w'); outputs.write_error('b'); outputs.write('a')"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", '"$1" -c "$2" >&- 2>&-', "sh", sys.executable, code],
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert (tmp_path / "f").read_text() == ""


def test_an_answer_is_not_lost_in_a_closed_output_without_a_word() -> None:
    code = "from rbee.runtime import outputs; outputs.prepare(); outputs.write('answer')"
    done = subprocess.run(
        ["/bin/sh", "-c", '"$1" -c "$2" >&-', "sh", sys.executable, code],
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert b"Standard output can't be written: it is closed." in done.stderr


async def test_a_reader_that_goes_is_noticed_without_a_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        gone = asyncio.Event()
        with outputs.on_reader_gone(gone.set):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(gone.wait(), 0.1)
            os.close(read)
            await asyncio.wait_for(gone.wait(), 2)


async def test_a_reader_that_goes_later_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        gone = asyncio.Event()
        with outputs.on_reader_gone(gone.set):
            pass
        os.close(read)
        await asyncio.sleep(0.05)
        assert not gone.is_set()


async def test_a_file_has_no_reader_that_could_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "story").open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with outputs.on_reader_gone(lambda: pytest.fail("it has none")):
            await asyncio.sleep(0.05)


async def test_an_exception_inside_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for stdout in (sys.stdout, os.fdopen(os.pipe()[1], "w")):
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(BrokenPipeError), outputs.on_reader_gone(lambda: None):
            raise BrokenPipeError
