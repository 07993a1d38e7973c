"""The clone on a node: brought to the branch, with nothing lost that is the person's."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbee.queen.install.on_node.clone import fetch, standing
from rbee.queen.install.on_node.processes import FailedError
from rbee.queen.install.on_node.survey import survey


@pytest.fixture
def clone(repository, tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    fetch(str(folder), str(repository.folder), "trunk")
    return folder


def head(repository, clone: Path) -> str:
    return str(repository.git("-C", str(clone), "rev-parse", "HEAD"))


def test_a_clone_is_on_its_branch_and_follows_it(repository, clone) -> None:
    assert repository.git("-C", str(clone), "branch", "--show-current") == "trunk"
    newer = repository.write("2.0")
    repository.git("-C", str(clone), "pull", "--quiet")
    assert head(repository, clone) == newer


def test_it_comes_to_what_is_new_even_where_history_was_written_again(repository, clone) -> None:
    repository.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "other")
    for _ in range(2):
        assert standing(clone, "trunk")["unpushed"] == 0
        fetch(str(clone), str(repository.folder), "trunk")
        assert head(repository, clone) == repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("what", ["branch", "tag", "commit"])
def test_a_branch_a_tag_or_a_commit_will_do(repository, clone, what) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.git(*({"branch": ("branch", "other"), "tag": ("tag", "other")}.get(what, ("log",))))
    repository.write("2.0")
    fetch(str(clone), str(repository.folder), "trunk")
    fetch(str(clone), str(repository.folder), old if what == "commit" else "other")
    assert head(repository, clone) == old
    branch = repository.git("-C", str(clone), "branch", "--show-current")
    assert branch == ("other" if what == "branch" else "")


def test_a_persons_own_commits_are_counted_wherever_they_stand(repository, clone) -> None:
    repository.git("-C", str(clone), "commit", "--quiet", "--allow-empty", "--message", "mine")
    assert standing(clone, "trunk")["unpushed"] == 1
    repository.git("-C", str(clone), "checkout", "--quiet", "--detach", "origin/trunk")
    assert standing(clone, "trunk")["unpushed"] == 1, "the branch would be moved away from it"


def test_changed_files_are_told_and_others_are_not_in_the_way(repository, clone) -> None:
    (clone / "notes.txt").write_text("mine")
    assert standing(clone, "trunk")["changes"] == []
    (clone / "backend.py").write_text("mine")
    assert standing(clone, "trunk")["changes"] == [" M backend.py"]


def test_a_file_of_the_person_in_the_way_of_a_new_one_is_not_overwritten(repository, clone) -> None:
    (clone / "new.txt").write_text("mine")
    (repository.folder / "new.txt").write_text("theirs")
    repository.write("2.0")
    with pytest.raises(FailedError):
        fetch(str(clone), str(repository.folder), "trunk")
    assert (clone / "new.txt").read_text() == "mine"
    assert standing(clone, "trunk")["changes"] == []


def test_a_checkout_that_was_cut_off_is_mended(repository, clone) -> None:
    newer = repository.write("2.0")
    (clone / ".git" / "rbee-checkout").touch()
    (clone / ".git" / "index.lock").touch()
    (clone / "backend.py").write_text("half a fi")
    assert "changes" not in standing(clone, "trunk")
    fetch(str(clone), str(repository.folder), "trunk")
    assert head(repository, clone) == newer
    assert standing(clone, "trunk")["changes"] == []


def test_a_clone_that_was_cut_off_is_mended(repository, tmp_path) -> None:
    folder = tmp_path / "half"
    (folder / ".rbee-clone" / ".git").mkdir(parents=True)
    assert survey(str(folder), "trunk")["others"] == []
    fetch(str(folder), str(repository.folder), "trunk")
    assert head(repository, folder) == repository.git("rev-parse", "HEAD")


def test_the_repository_of_a_folder_further_up_is_not_taken_for_the_clone(repository) -> None:
    folder = repository.folder / "rbee"
    folder.mkdir()
    (folder / ".git").mkdir()
    assert standing(folder, "trunk")["origin"] == ""


@pytest.mark.parametrize(
    ("written", "is_"),
    [("~/a b", "a b"), ("a/$(x)", "a/$(x)"), ("/opt/rbee", "/opt/rbee"), ("~bob/x", "~bob/x")],
)
def test_a_folder_is_in_the_home_unless_it_is_absolute(home, written, is_) -> None:
    assert survey(written, "trunk")["folder"] == str(home / is_)
