"""Whatever rbee makes on a disk says who may use it: no call leaves that to the umask."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import rbee
from rbee.queen.install.on_node import commands
from rbee.runtime import files

ROOT = Path(rbee.__file__).parent
# It runs on a node without the rest of rbee, and sets its own umask.
ON_NODE = ROOT / "queen/install/on_node"
SOURCES = sorted(path for path in ROOT.rglob("*.py") if not path.is_relative_to(ON_NODE))

# Method or function: how many positional arguments it has when the mode is one of them.
_WITH_MODE = {"mkdir": 1, "makedirs": 2, "touch": 1, "mkfifo": 2, "mknod": 2}
_NEVER = {"write_text", "write_bytes", "copy2", "copyfile", "copytree", "copyfileobj", "umask",
          "NamedTemporaryFile", "FileHandler", "RotatingFileHandler", "extractall"}  # fmt: skip


def left_to_the_umask(source: str) -> Iterator[int]:
    """The lines of calls that make something without saying its mode."""
    tree = ast.parse(source)
    creating = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _creates(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not _says_its_mode(node, creating):
            yield node.lineno


def _creates(flags: ast.AST, known: set[str]) -> bool:
    names = {node.attr for node in ast.walk(flags) if isinstance(node, ast.Attribute)}
    return "O_CREAT" in names or any(
        isinstance(node, ast.Name) and node.id in known for node in ast.walk(flags)
    )


def _says_its_mode(call: ast.Call, creating: set[str]) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    module = function.value if isinstance(function, ast.Attribute) else None
    of_os = isinstance(module, ast.Name) and module.id == "os"
    keywords = {keyword.arg for keyword in call.keywords}
    if name in _NEVER:
        return False
    if name in _WITH_MODE:
        return "mode" in keywords or len(call.args) >= (2 if of_os else _WITH_MODE[name])
    if name == "connect" and isinstance(module, ast.Name) and module.id == "sqlite3":
        return "uri" in keywords
    if name == "open" and of_os:
        return not _creates(call, creating) or len(call.args) >= 3
    if name == "open":
        after = call.args[isinstance(function, ast.Name) :]  # of the file's name
        words = [arg.value for arg in after if isinstance(arg, ast.Constant)]
        words += [k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)]
        writes = any(isinstance(word, str) and _writes(word) for word in words)
        return not writes or "opener" in keywords or "sftp" in ast.dump(call)
    return True


def _writes(mode: str) -> bool:
    return len(mode) <= 3 and set(mode) <= set("rwxabt+") and bool(set(mode) & set("wxa+"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_left_to_the_umask(path: Path) -> None:
    found = [f"{path}:{line}" for line in left_to_the_umask(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "call",
    ["path.mkdir()", "path.mkdir(parents=True)", "os.mkdir('x')", "os.makedirs('x')",
     "path.touch()", "path.write_text('x')", "path.write_bytes(b'x')", "open('x', 'w')",
     "open('x', mode='ab')", "path.open('x')", "path.open('r+b')", "shutil.copyfile('x', 'y')",
     "os.open('x', os.O_WRONLY | os.O_CREAT)", "F = os.O_CREAT\nos.open('x', F)",
     "tempfile.NamedTemporaryFile()", "logging.FileHandler('x')", "sqlite3.connect('x')",
     "os.umask(0)"],
)  # fmt: skip
def test_a_call_that_leaves_it_to_the_umask_is_found(call: str) -> None:
    assert list(left_to_the_umask(call))


@pytest.mark.parametrize(
    "call",
    ["path.mkdir(0o700)", "path.mkdir(mode=0o700)", "os.mkdir('x', 0o700)", "open('x')",
     "open('x', 'rb')", "path.open('rb')", "open('x', 'a', opener=private)",
     "os.open('x', os.O_RDONLY)", "os.open('x', os.O_CREAT, 0o600)", "tempfile.mkstemp()",
     "path.touch(mode=0o600)"],
)  # fmt: skip
def test_a_call_that_says_its_mode_is_not(call: str) -> None:
    assert not list(left_to_the_umask(call))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_the_umask_changes_nothing(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "c" / "d", files.OPEN_FOLDER)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "c", "c/d")] == [
        0o700, 0o700, 0o755, 0o755,
    ]  # fmt: skip
    files.replace(tmp_path / "one", b"")
    files.replace(tmp_path / "two", b"x", files.OPEN_FILE)
    files.replace(tmp_path / "two", b"y", files.OPEN_FILE)
    files.ensure(tmp_path / "three")
    assert [mode(tmp_path / name) for name in ("one", "two", "three")] == [0o600, 0o644, 0o600]
    assert (tmp_path / "two").read_bytes() == b"y"


def test_what_was_there_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o750)
    files.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "file").chmod(0o640)
    files.ensure(tmp_path / "file")
    assert (mode(tmp_path / "a"), mode(tmp_path / "file")) == (0o750, 0o640)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_new_file_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_could_not_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        files.replace(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("path", ["a", "a/b"])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError):
        files.make_folder(tmp_path / path)


def test_what_is_installed_on_a_node_is_for_its_owner_to_write(
    umask: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert commands.main("wheel-folder", str(tmp_path / "rbee"), "new") == 0
    assert str(tmp_path) in capsys.readouterr().out
    made = os.umask(umask)
    assert made == 0o022
    assert mode(tmp_path / "rbee") == 0o755
    assert mode(tmp_path / "rbee/.venvs/new.wheels") == 0o700
