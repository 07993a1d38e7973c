"""What the Hub answers, read within limits: a stranger may answer in its place.

Nothing is read whole that may be endless, and nothing is believed that has another form than the
Hub's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from rbee.gguf.constants import LFS_POINTER
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
_TAGS = ("X-Linked-Etag", "ETag")
_POINTER_BYTES = 1 << 10


# A search for 50 repositories takes some 50 KB.
MOST_FOUND = 1_000
SEARCH_BYTES = 4 << 20
SEARCH_WITHIN_S = 20.0


class UnreadableError(Exception):
    """The Hub's answer can't be read; the text says why."""


class NotTheFileError(Exception):
    """The Hub sends something else in the place of a file; the text says what."""


_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
# They become parts of file names and addresses.
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Blob = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{1,64}\Z")]
_Commit = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,128}\Z")]


class _Large(msgspec.Struct, frozen=True):
    sha256: _Sha256
    size: _Size | None = None


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
    files = tuple(_file(found) for found in info.siblings or ())
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


def _file(found: _Sibling) -> RemoteFile:
    size, sha256 = found.size, None
    if found.lfs is not None:
        size = found.lfs.size if size is None else size
        sha256 = found.lfs.sha256
    return RemoteFile(
        found.rfilename, size or 0, sha256, found.blob_id or "", is_measured=size is not None
    )


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


def first_byte(response: httpx2.Response, start: int, file: RemoteFile) -> int | None:
    """The byte of the file at which an answer to a request for its bytes from `start` on begins;
    None for an answer that is not the file: the login page of a hotel network must not be taken for
    a model. Raises NotTheFileError."""
    _check_coding(response, file)
    ranged = re.fullmatch(
        r"bytes (\d{1,18})-\d+/(\d{1,18})", response.headers.get("Content-Range", "")
    )
    if response.status_code == 206 and ranged:
        if (int(ranged[1]), int(ranged[2])) == (start, file.size_bytes):
            return start
    elif response.headers.get("Content-Length") == str(file.size_bytes):
        return 0
    elif start == 0 and not response.headers.get("Content-Type", "").startswith("text/"):
        return 0  # perhaps cut short on the way, but that loses nothing
    for chunk in response.iter_raw(_POINTER_BYTES):
        _check_pointer(chunk, file)
        break
    return None


def chunks(response: httpx2.Response, start: int, file: RemoteFile) -> Iterator[bytes]:
    """The bytes of a file as they come, from `start` on. Raises NotTheFileError."""
    is_first = start == 0
    for chunk in response.iter_raw():
        if is_first:
            _check_pointer(chunk, file)
        is_first = False
        yield chunk


def measured(response: httpx2.Response, file: RemoteFile) -> RemoteFile:
    """The file with the size and hash in the headers of an answer to a request for its first byte,
    or of the redirects before it. Raises NotTheFileError if they say no size."""
    _check_coding(response, file)
    answers = [*response.history, response]
    sizes = [answer.headers.get("X-Linked-Size", "") for answer in answers]
    sizes.append(response.headers.get("Content-Range", "").rpartition("/")[2])
    if response.status_code == 200:
        sizes.append(response.headers.get("Content-Length", ""))
    size = next((int(text) for text in sizes if re.fullmatch(r"\d{1,15}", text)), None)
    if size is None:
        raise NotTheFileError(
            f"neither the Hub's listing nor its headers say how large {file.path} is"
        )
    tags = [answer.headers.get(name, "") for name in _TAGS for answer in answers]
    sums = (re.fullmatch(r'(?:W/)?"?([0-9a-f]{64})"?', tag) for tag in tags)
    sha256 = file.sha256 or next((found[1] for found in sums if found), None)
    return msgspec.structs.replace(file, size_bytes=size, sha256=sha256, is_measured=True)


def _check_coding(response: httpx2.Response, file: RemoteFile) -> None:
    if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise NotTheFileError(
            f"the Hub sends {file.path} compressed ({coding[:20]!r}), which was not asked for"
        )


def _check_pointer(beginning: bytes, file: RemoteFile) -> None:
    if beginning.startswith(LFS_POINTER):
        raise NotTheFileError(f"the Hub sends the Git LFS pointer of {file.path}, not the file")


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
    except UnicodeDecodeError:  # of msgspec before 0.23
        raise UnreadableError("it is not UTF-8") from None
    except msgspec.DecodeError as error:
        if "UTF-8" in str(error):
            raise UnreadableError("it is not UTF-8") from None
        raise


def _count(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise UnreadableError(f"it lists {count} {what}; the most that is read is {limit}")
