"""What the Hub answers, read within limits: a stranger may answer in its place.

Nothing is read whole that may be endless, and nothing is believed that has another form than the
Hub's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from rbee.hive.models.repository import Listing, RemoteFile, named
from rbee.runtime.concurrency import go_on

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

# Repositories of GGUF files have up to 1,000, each with 350 bytes in the listing.
MOST_FILES = 20_000
MOST_GGUF_FILES = 4_000
LISTING_BYTES = 16 << 20
LISTING_WITHIN_S = 60.0
# Of an error or a redirect.
_ERROR_BYTES = 64 << 10
_ERROR_WITHIN_S = 10.0


# A search for 50 repositories takes some 50 KB.
MOST_FOUND = 1_000
SEARCH_BYTES = 4 << 20
SEARCH_WITHIN_S = 20.0


class UnreadableError(Exception):
    """The Hub's answer can't be read; the text says why."""


_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
# They become parts of file names and addresses.
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Blob = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{1,64}\Z")]
_Commit = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,128}\Z")]


class _Large(msgspec.Struct, frozen=True):
    sha256: _Sha256


class _Sibling(msgspec.Struct, frozen=True, rename={"blob_id": "blobId"}):
    rfilename: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    size: _Size | None = None
    blob_id: _Blob | None = None
    lfs: _Large | None = None


class _Info(msgspec.Struct, frozen=True):
    sha: _Commit | None = None
    siblings: list[_Sibling] | None = None


def listing(body: bytes, revision: str) -> Listing:
    """The listing in the Hub's answer; `revision` is what it is of if it names no commit. Raises
    UnreadableError, and msgspec.DecodeError for what is not JSON at all."""
    _count(body.count(b'"rfilename"'), MOST_FILES, "files")  # before they take memory
    info = _decoded(body, _Info)
    files = tuple(
        RemoteFile(
            found.rfilename,
            found.size or 0,
            found.lfs.sha256 if found.lfs else None,
            found.blob_id or "",
        )
        for found in info.siblings or ()
    )
    _count(len(files), MOST_FILES, "files")
    models = sum(file.path.lower().endswith(".gguf") for file in files)
    _count(models, MOST_GGUF_FILES, "GGUF files")
    return Listing(info.sha or revision, files)


class Match(msgspec.Struct, frozen=True):
    """A repository that a search found. `gated` may say how access is given."""

    id: Annotated[str, msgspec.Meta(max_length=256)]
    downloads: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0
    gated: bool | str = False


def matches(body: bytes, limit: int) -> list[Match]:
    """The repositories in the Hub's answer to a search, `limit` at most; those with a name that no
    reference can have are left out. Raises as `listing`."""
    _count(body.count(b'"id"'), MOST_FOUND, "repositories")
    found = _decoded(body, list[Match])
    return [match for match in found if named(match.id, None, "m.gguf") is not None][:limit]


def read_whole(
    response: httpx2.Response,
    most_bytes: int,
    within_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """The body of a response to a request for `identity`. Raises UnreadableError for one that is
    compressed, larger than `most_bytes` or not there `within_s`, and CallerGone."""
    if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise UnreadableError(f"it is compressed ({coding[:20]!r}), which was not asked for")
    began, body = clock(), bytearray()
    for chunk in response.iter_raw():
        go_on()
        body += chunk
        if len(body) > most_bytes:
            raise UnreadableError(f"it has more than {most_bytes >> 20} MB")
        if clock() - began > within_s:
            raise UnreadableError(f"it did not end within {within_s:g} s")
    return bytes(body)


def bound(response: httpx2.Response) -> None:
    """Keep the client from reading the body of an error or a redirect, which it would read whole,
    and believe: the status and the headers say what there is to know. A hook of the client's."""
    import httpx2

    if response.is_success:
        return
    assert isinstance(response.stream, httpx2.SyncByteStream)
    stream: httpx2.SyncByteStream = response.stream

    class Cut(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            # A short one is read to its end, as the connection can then be used again.
            read, until = 0, time.monotonic() + _ERROR_WITHIN_S
            for chunk in stream:
                go_on()
                read += len(chunk)
                if read > _ERROR_BYTES or time.monotonic() > until:
                    return
            yield from ()

        def close(self) -> None:
            stream.close()

    response.headers.pop("Content-Encoding", None)
    response.stream = Cut()


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(str(error)) from None
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None


def _count(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise UnreadableError(f"it lists {count} {what}; the most that is read is {limit}")
