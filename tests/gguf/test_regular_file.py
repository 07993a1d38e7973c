"""Files that somebody has named: what is not a regular file is refused at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rbee.contract.errors import ModelNotFound
from rbee.gguf.reader import check_magic, read
from rbee.gguf.regular_file import open_regular


@pytest.fixture(params=["a pipe", "a device", "a socket", "standard input", "a link to a pipe"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something at which a program could wait for ever."""
    path = tmp_path / "model.gguf"
    match request.param:
        case "a pipe":
            os.mkfifo(path)
        case "a device":
            path = Path("/dev/zero")
        case "a socket":
            import socket

            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
        case "standard input":
            reading, _ = os.pipe()
            path = Path(f"/proc/self/fd/{reading}")
        case "a link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
    return path


def test_it_is_refused_at_once(odd: Path) -> None:
    refused = threading.Thread(target=_refuse, args=(odd,), daemon=True)
    refused.start()
    refused.join(5)
    assert not refused.is_alive()


def _refuse(path: Path) -> None:
    with pytest.raises(OSError, match="regular"):
        open_regular(path)


@pytest.mark.parametrize("look", [read, check_magic])
def test_it_is_no_model(odd: Path, look: object) -> None:
    assert callable(look)
    with pytest.raises(ModelNotFound, match="regular file"):
        look(odd)


def test_a_regular_file_is_opened_also_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"text"


def test_a_folder_and_nothing_are_told_as_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may open it")
def test_a_file_that_one_has_to_wait_for_is_not_waited_for() -> None:
    with open_regular(Path("/proc/kmsg")) as file, pytest.raises(OSError, match="nothing to read"):
        while file.read(1 << 16):  # the kernel's log, up to now
            pass
