"""The clone on the node: which work in it must not be lost, and how it is brought to a branch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .processes import FailedError, git, git_says, in_git

# What the installation puts beside the files of the clone.
OURS = (".rbee-clone", ".venv", ".venvs")
_NEW = ".rbee-clone"
# A checkout that was begun and not ended: what differs then is not the person's work.
_BEGUN = "rbee-checkout"


def standing(root: Path, branch: str) -> dict[str, Any]:
    """Where it came from, which files are changed, and how many commits are nowhere else."""
    found: dict[str, Any] = {"origin": git_says(root, "config", "--get", "remote.origin.url")}
    if not in_git(root, _BEGUN).exists():
        tracked = git_says(root, "status", "--porcelain", "--untracked-files=no")
        found["changes"] = tracked.splitlines()[:5]
    own = f"refs/heads/{branch}"
    heads = [ref for ref in ("HEAD", own) if git_says(root, "rev-parse", "-q", "--verify", ref)]
    if heads:
        known = ["--not", "--remotes", "--glob=refs/rbee/*"]
        found["unpushed"] = int(git_says(root, "rev-list", "--count", *heads, *known) or 0)
    return found


def fetch(folder: str, url: str, branch: str) -> dict[str, Any]:
    """Bring the clone to the branch, or to a tag or a commit. It is made if there is none.

    Every commit that was fetched is kept under refs/rbee: what is not there, nor on a remote, is
    the person's own.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / ".git").exists():
        new = root / _NEW
        shutil.rmtree(new, ignore_errors=True)
        git(root, "init", "--quiet", str(new))
        git(new, "remote", "add", "origin", url)
        (new / ".git").rename(root / ".git")
        new.rmdir()
    _leave_out(root)
    git(root, "fetch", "origin", branch)
    commit = git_says(root, "rev-parse", "FETCH_HEAD^{commit}")
    git(root, "update-ref", f"refs/rbee/{commit}", commit)
    begun = in_git(root, _BEGUN)
    force = []
    if begun.exists():
        force = ["--force"]
        in_git(root, "index.lock").unlink(missing_ok=True)
    begun.touch()
    is_branch = "\tbranch '" in in_git(root, "FETCH_HEAD").read_text(encoding="utf-8")
    where = ["-B", branch, commit] if is_branch else ["--detach", commit]
    try:
        git(root, "checkout", "--quiet", *force, *where)
    except FailedError:
        if not git_says(root, "status", "--porcelain", "--untracked-files=no"):
            begun.unlink()  # git refused, and changed nothing
        raise
    begun.unlink()
    if is_branch:
        git(root, "branch", "--quiet", f"--set-upstream-to=origin/{branch}", branch)
    return {"commit": commit[:12]}


def _leave_out(root: Path) -> None:
    """What the installation puts beside the files of the clone does not count as a change."""
    file = in_git(root, "info/exclude")
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [f"/{name}" for name in OURS if f"/{name}" not in text.splitlines()]
    if missing:
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([text.rstrip("\n"), *missing, ""]).lstrip("\n"), encoding="utf-8")
