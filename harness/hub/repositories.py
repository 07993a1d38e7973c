"""What is on the harness's Hub: repositories, their commits, and what its API says about them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

_TOO_LARGE_TO_READ = 8_000_000_000


@dataclass(frozen=True)
class Blob:
    """A file; `sha256` is what the Hub claims."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    blobs: Mapping[str, Blob]

    @property
    def id(self) -> str:
        content = "".join(f"{name} {blob.sha256}\n" for name, blob in sorted(self.blobs.items()))
        return hashlib.sha1(content.encode()).hexdigest()


@dataclass
class Repository:
    """`branches` by name, including "main"; a gated repository is opened by `token`. `downloads` is
    what a search orders by."""

    name: str
    downloads: int = 0
    branches: dict[str, Commit] = field(default_factory=dict)
    token: str | None = None

    def at(self, revision: str) -> Commit | None:
        """Return a branch's commit, or the commit with that id."""
        if revision in self.branches:
            return self.branches[revision]
        return next((each for each in self.branches.values() if each.id == revision), None)

    def commit(self, branch: str, files: Mapping[str, Path]) -> None:
        self.branches[branch] = Commit({name: blob_of(path) for name, path in files.items()})

    def change(self, filename: str, path: Path) -> None:
        """Add a commit to main; the former state is still found by its id, as on the real Hub."""
        main = self.branches["main"]
        self.branches[main.id] = main
        self.branches["main"] = Commit({**main.blobs, filename: blob_of(path)})

    def lie_about(self, filename: str) -> None:
        """From now on the Hub claims a wrong sha256 for this file."""
        main = self.branches["main"]
        blob = main.blobs[filename]
        wrong = replace(blob, sha256=hashlib.sha256(blob.sha256.encode()).hexdigest())
        self.branches["main"] = Commit({**main.blobs, filename: wrong})

    def found(self) -> dict[str, Any]:
        """The repository in the answer to `GET /api/models?search=WORDS`, which names no files."""
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "private": False,
            "gated": "auto" if self.token else False,
            "tags": ["gguf"],
            "downloads": self.downloads,
            "likes": 0,
            "createdAt": "2026-01-01T00:00:00.000Z",
        }

    def matches(self, words: str) -> bool:
        """Whether all words are in its name; it must hold a GGUF file, for which it has a tag."""
        files = self.branches["main"].blobs
        holds = any(name.lower().endswith(".gguf") for name in files)
        return holds and all(word in self.name.lower() for word in words.lower().split())

    def listing(self, commit: Commit) -> dict[str, Any]:
        """The answer to `GET /api/models/OWNER/NAME?blobs=true`."""
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "author": self.name.split("/")[0],
            "sha": commit.id,
            "private": False,
            "gated": "auto" if self.token else False,
            "disabled": False,
            "tags": ["gguf"],
            "downloads": self.downloads,
            "likes": 0,
            "siblings": [_sibling(name, blob) for name, blob in sorted(commit.blobs.items())],
        }


def _sibling(name: str, blob: Blob) -> dict[str, Any]:
    large = {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}
    return {
        "rfilename": name,
        "size": blob.size,
        "blobId": blob.sha256[:40],
        **({"lfs": large} if name.endswith(".gguf") else {}),
    }


def blob_of(path: Path) -> Blob:
    resolved = path.resolve()
    state = resolved.stat()
    return Blob(resolved, state.st_size, sha256_of(resolved, state.st_size, state.st_mtime_ns))


@cache
def sha256_of(path: Path, size: int, changed_ns: int) -> str:
    """Computed once in a run. Of a huge file, which is never fetched, the name is hashed."""
    if size > _TOO_LARGE_TO_READ:
        return hashlib.sha256(path.name.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
