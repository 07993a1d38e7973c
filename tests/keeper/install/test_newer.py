"""What is new for an installation, asked with pip and git themselves."""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from rbee import __version__
from rbee.contract.errors import ProgramFailed
from rbee.keeper.install import newer
from rbee.keeper.install.origin import Origin, origin_of

INDEX = Origin("index")
PIP = f"{sys.executable} -m pip install"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of rbee on a package index that pip uses instead of any other."""
    folder = tmp_path / "simple" / "rbee"
    folder.mkdir(parents=True)
    serve = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        use_index(monkeypatch, f"http://127.0.0.1:{server.server_port}/simple")
        yield folder
        server.shutdown()


def use_index(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", url)


def found(origin: Origin) -> newer.Newer:
    return asyncio.run(newer.look(origin))


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def clone(tmp_path: Path, upstream: Path) -> Path:
    folder = tmp_path / "a clone"
    git(tmp_path, "clone", str(upstream), str(folder))
    return folder


def installed(folder: Path, direct_url: object = None) -> PathDistribution:
    at = folder / "rbee-0.1.0.dist-info"
    at.mkdir()
    (at / "METADATA").write_text("Metadata-Version: 2.1\nName: rbee\nVersion: 0.1.0\n")
    if direct_url is not None:
        (at / "direct_url.json").write_text(json.dumps(direct_url))
    return PathDistribution(at)


def test_a_newer_version_on_the_index_comes_with_its_command(index: Path) -> None:
    for version in ("0.0.1", "7.1.0", "7.0.9", "8.0.0rc1"):
        (index / f"rbee-{version}-py3-none-any.whl").touch()
    new = found(INDEX)
    assert (new.newest, new.command) == ("7.1.0", f"{PIP} --upgrade rbee")
    assert "7.1.0 is new" in new.says


@pytest.mark.parametrize("version", ["0.0.1", __version__])
def test_nothing_newer_has_no_command(index: Path, version: str) -> None:
    (index / f"rbee-{version}-py3-none-any.whl").touch()
    new = found(INDEX)
    assert (new.newest, new.command) == (version, None)
    assert "nothing newer" in new.says


def test_an_index_without_rbee_says_so(index: Path) -> None:
    index.rmdir()
    with pytest.raises(ProgramFailed, match=r"has no package rbee"):
        found(INDEX)


def test_an_index_that_can_not_be_reached_is_not_said_to_have_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_index(monkeypatch, "http://name:secret@127.0.0.1:9/simple")
    with pytest.raises(ProgramFailed, match=r"could not be asked: Connection refused") as error:
        found(INDEX)
    assert f"{PIP} --upgrade rbee" in error.value.advice
    assert "secret" not in str(error.value)


def test_one_of_two_indexes_that_does_not_answer_may_have_the_newer_one(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple")
    (index / "rbee-0.0.1-py3-none-any.whl").touch()
    with pytest.raises(ProgramFailed, match=r"could not be asked"):
        found(INDEX)
    (index / "rbee-9.0.0-py3-none-any.whl").touch()
    assert found(INDEX).newest == "9.0.0"


def test_an_index_that_keeps_silent_is_given_up(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newer, "WITHIN_S", 0.01)
    with pytest.raises(ProgramFailed, match=r"no answer within 0.01 s"):
        found(INDEX)


def test_pip_is_not_told_to_install_what_came_from_elsewhere(tmp_path: Path, index: Path) -> None:
    """A stranger may have the name on an index."""
    (index / "rbee-9.0.0-py3-none-any.whl").touch()
    wheel = origin_of(installed(tmp_path, {"url": "file:///w/rbee.whl", "archive_info": {}}), None)
    assert wheel == Origin("file", "/w/rbee.whl")
    new = found(wheel)
    assert (new.newest, new.command) == (None, None)
    assert "/w/rbee.whl" in new.says and f"{PIP} --upgrade FILE" in new.says


def test_a_clone_whose_branch_has_moved_on(clone: Path, upstream: Path) -> None:
    here = Origin("clone", str(clone))
    assert found(here).command is None
    git(upstream, "commit", "--allow-empty", "-m", "second")
    new = found(here)
    assert new.newest == git(upstream, "rev-parse", "--short", "HEAD")
    assert new.command == f"git -C '{clone}' pull --ff-only && {PIP} '{clone}'"
    assert found(Origin("clone", str(clone), editable=True)).command == (
        f"git -C '{clone}' pull --ff-only && {PIP} --editable '{clone}'"
    )


def test_a_clone_that_is_ahead_has_nothing_to_get(clone: Path) -> None:
    git(clone, "commit", "--allow-empty", "-m", "own")
    assert found(Origin("clone", str(clone))).command is None


def test_a_clone_of_what_is_gone_says_what_git_says(clone: Path, upstream: Path) -> None:
    upstream.rename(upstream.with_name("moved"))
    with pytest.raises(ProgramFailed, match=r"does not appear to be a git repository"):
        found(Origin("clone", str(clone)))


def test_a_clone_that_follows_nothing_says_so(clone: Path) -> None:
    git(clone, "checkout", "--detach")
    with pytest.raises(ProgramFailed, match=r"follows no branch") as error:
        found(Origin("clone", str(clone)))
    assert f"{PIP} '{clone}'" in error.value.advice


def test_an_installation_from_a_repository_is_compared_by_its_commit(
    tmp_path: Path, upstream: Path
) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    vcs = {"vcs": "git", "commit_id": commit, "requested_revision": "main"}
    here = origin_of(installed(tmp_path, {"url": f"file://{upstream}", "vcs_info": vcs}), None)
    assert here == Origin("repository", f"file://{upstream}", commit=commit, branch="main")
    assert found(here).command is None
    git(upstream, "commit", "--allow-empty", "-m", "second")
    wanted = f"{PIP} --upgrade --force-reinstall 'rbee @ git+file://{upstream}@main'"
    assert found(here).command == wanted


def test_where_an_installation_comes_from(tmp_path: Path, clone: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    folders = {"a": None, "b": clone, "c": plain, "d": tmp_path / "gone"}
    origins = []
    for name, folder in folders.items():
        (tmp_path / name).mkdir()
        url = None if folder is None else {"url": folder.as_uri(), "dir_info": {}}
        origins.append(origin_of(installed(tmp_path / name, url), None))
    assert origins == [
        INDEX,
        Origin("clone", str(clone)),
        Origin("folder", str(plain)),
        Origin("folder", str(tmp_path / "gone")),
    ]
    assert origin_of(None, clone) == Origin("clone", str(clone), editable=True)
    assert origin_of(None, plain) == Origin("folder", str(plain), editable=True)
    assert "new in it" in found(Origin("folder", str(plain))).says


@pytest.mark.parametrize("text", ["{", "[]", '{"url": 3}', "{}"])
def test_a_damaged_record_of_pip_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    known = installed(tmp_path, {})
    (tmp_path / "rbee-0.1.0.dist-info" / "direct_url.json").write_text(text)
    assert origin_of(known, None) == INDEX
