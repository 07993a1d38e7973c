"""Standard output and standard error of a keeper whose reader has gone, or has no room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rbee.contract.errors import NodeNotFound
from rbee.keeper.adapters import outputs
from rbee.keeper.adapters.screen import EventScreen, Screen


def python(code: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, with its own outputs."""
    words = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(words, text=True, timeout=30, check=False, **how)  # type: ignore[call-overload,no-any-return]  # `how` is what its callers say


def test_a_full_output_is_told_as_such_and_fails_only_once() -> None:
    with Path("/dev/full").open("w") as full:
        done = python(
            """
            from rbee.keeper.adapters import outputs
            from rbee.contract.errors import StateNotWritable
            try:
                outputs.write("a story")
            except StateNotWritable as error:
                outputs.tell(error.message)
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
def test_a_reader_that_has_gone_leaves_nothing_to_fail_at_the_end(stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    done = python(
        """
        import sys
        from rbee.keeper.adapters import outputs
        outputs.tell("told")
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


def test_closed_outputs_are_no_file_that_is_opened_later(tmp_path: Path) -> None:
    code = (
        "from rbee.keeper.adapters import outputs; outputs.prepare(); "
        f"file = open({str(tmp_path / 'f')!r}, 'w'); outputs.write('a'); outputs.tell('b')"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", '"$1" -c "$2" >&- 2>&-', "sh", sys.executable, code],
        check=False,
        timeout=30,
    )
    assert done.returncode == 0
    assert (tmp_path / "f").read_text() == ""


async def test_the_end_of_a_reader_is_noticed_without_a_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        gone = asyncio.Event()
        with outputs.when_reader_leaves(gone.set):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(gone.wait(), 0.1)
            os.close(read)
            await asyncio.wait_for(gone.wait(), 2)


async def test_a_reader_that_leaves_later_is_nobodys_concern(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        gone = asyncio.Event()
        with outputs.when_reader_leaves(gone.set):
            pass
        os.close(read)
        await asyncio.sleep(0.05)
        assert not gone.is_set()


async def test_a_file_has_no_reader_to_leave(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "story").open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with outputs.when_reader_leaves(lambda: pytest.fail("it has none")):
            await asyncio.sleep(0.05)


async def test_what_is_raised_meanwhile_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for stdout in (sys.stdout, os.fdopen(os.pipe()[1], "w")):
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(BrokenPipeError), outputs.when_reader_leaves(lambda: None):
            raise BrokenPipeError


def test_a_stream_of_events_ends_with_its_error_whoever_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    EventScreen(as_json=True).error(NodeNotFound(node="attic"))
    out, err = capsys.readouterr()
    assert out.startswith('{"event":"error","data":{"error":{"code":"NODE_NOT_FOUND"')
    assert out.count("\n") == 1
    assert err.startswith("Error [NODE_NOT_FOUND]")
    EventScreen().error(NodeNotFound(node="attic"))
    assert capsys.readouterr().out == ""
    Screen(as_json=True).error(NodeNotFound(node="attic"))
    assert capsys.readouterr().out == ""


def test_a_line_beside_the_story_does_not_break_the_story_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rbee.contract.events import Token

    screen = Screen()
    screen.show(Token("Once upon", 0))
    screen.note("a line")
    screen.show(Token(" a time", 1))
    screen.close()
    out, err = capsys.readouterr()
    assert (out, err) == ("Once upon a time\n", "a line\n")
