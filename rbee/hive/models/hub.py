"""The Hugging Face Hub, and when to ask it again.

Addresses, tokens and error names are those of huggingface_hub. Only the bytes are read here rather
than by its `hf_hub_download`, which resumes no other process's file, checks no hash, and retries
for half a minute before it says that nothing answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from rbee import __version__
from rbee.contract.errors import DownloadFailed
from rbee.contract.events import Download
from rbee.contract.model_ref import ModelRef
from rbee.hive.models import hub_environment, hub_replies
from rbee.hive.models.hub_errors import (
    RangeRefusedError,
    TransientError,
    check_storage,
    failed,
    translated,
)
from rbee.hive.models.repository import Listing, RemoteFile, RemoteModel
from rbee.runtime.concurrency import go_on
from rbee.runtime.retry import doubling

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

_LISTING_S = 10.0
_FIRST_BYTE = "bytes=0-0"
ATTEMPTS = 6
_PAUSES_S = tuple(doubling(0.1, ATTEMPTS))
# An attempt that brought this much starts the count again.
PROGRESS_BYTES = 1 << 20


class FileStream(msgspec.Struct, frozen=True):
    """The bytes of a file from `start` on, as they come."""

    start: int
    chunks: Iterator[bytes]
    connection: socket.socket | None

    def abort(self) -> None:
        """Wake the thread that waits for the next chunk; from any thread."""
        if self.connection is not None:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket: it also drops the keys, and a thread that is
                # reading would get bytes that are still encrypted.
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


class Source(Protocol):
    """Where the bytes of files come from. Every call blocks. `stall_s` is for how many seconds it
    may be silent."""

    stall_s: float

    def stream(
        self, model: RemoteModel, file: RemoteFile, start: int, length: int | None = None
    ) -> AbstractContextManager[FileStream]:
        """The file's bytes from `start` on; from 0 if the source does not support ranges. Raises
        TransientError where another attempt, or another source, may help."""


class Hub:
    """Every call blocks: not for the event loop. Raises MODEL_NOT_FOUND, MODEL_GATED,
    DOWNLOAD_FAILED, and TransientError where another attempt may help."""

    def __init__(self, stall_s: float, token: str | None = None) -> None:
        """Without a `token` this machine's own is used, if it has one."""
        self.stall_s = stall_s
        self._token = token
        self._client: httpx2.Client | None = None
        self._turn = threading.Lock()
        # Before the import: otherwise it fetches a list of coding agents for its user agent.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        # At INFO they log every URL, and the URL of a redirect is signed.
        for name in ("httpx2", "httpcore2", "huggingface_hub"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def listing(self, ref: ModelRef) -> Listing:
        """The files of the repository of `ref` at its revision."""
        self._check_environment(ref)
        from huggingface_hub import constants
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
            validate_repo_id,
        )

        with translated(ref, _LISTING_S):
            validate_repo_id(ref.name)
            at = f"/revision/{quote(ref.revision, safe='')}" if ref.revision else ""
            url = f"{constants.ENDPOINT}/api/models/{ref.name}{at}?blobs=true"
            with self._ask(url, self._headers(), _LISTING_S) as response:
                hf_raise_for_status(response)
                body = hub_replies.read_whole(
                    response, hub_replies.LISTING_BYTES, hub_replies.LISTING_WITHIN_S
                )
            return hub_replies.listing(body, ref.revision or "main")

    def search(self, words: str, limit: int) -> list[hub_replies.Match]:
        """The repositories with GGUF files whose names have `words`, most downloaded first."""
        ref = ModelRef("hf", words)
        self._check_environment(ref)
        from huggingface_hub import constants
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
        )

        asked = {"search": words, "filter": "gguf", "sort": "downloads", "limit": str(limit)}
        url = f"{constants.ENDPOINT}/api/models?{urlencode(asked)}"
        with (
            translated(ref, _LISTING_S),
            self._ask(url, self._headers(), _LISTING_S) as response,
        ):
            hf_raise_for_status(response)
            body = hub_replies.read_whole(
                response, hub_replies.SEARCH_BYTES, hub_replies.SEARCH_WITHIN_S
            )
            return hub_replies.matches(body, limit)

    def measured(self, model: RemoteModel, file: RemoteFile) -> RemoteFile:
        """A file whose size the listing does not say, as its own headers describe it."""
        with self._open(model, file, _FIRST_BYTE) as response:
            return hub_replies.measured(response, file)

    @contextlib.contextmanager
    def stream(
        self, model: RemoteModel, file: RemoteFile, start: int, length: int | None = None
    ) -> Iterator[FileStream]:
        """The file's bytes from `start` on; from 0 if the server does not support ranges. Raises
        RangeRefusedError if there are none."""
        wanted = None
        if start or length is not None:
            wanted = f"bytes={start}-{start + length - 1 if length is not None else ''}"
        with self._open(model, file, wanted) as response:
            first = hub_replies.first_byte(response, start, file)
            if first is None:
                raise TransientError(f"the server did not send {file.path}")
            yield FileStream(
                first, hub_replies.chunks(response, first, file), _connection(response)
            )

    @contextlib.contextmanager
    def _open(
        self, model: RemoteModel, file: RemoteFile, wanted: str | None
    ) -> Iterator[httpx2.Response]:
        """The answer to a request for a file, or for the `wanted` range of it."""
        self._check_environment(model.reference)
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
        )

        url = hf_hub_url(model.reference.name, file.path, revision=model.commit)
        headers = self._headers()
        if wanted is not None:
            headers["Range"] = wanted
        with (
            translated(model.reference, self.stall_s),
            self._ask(url, headers, self.stall_s) as response,
        ):
            if response.status_code != 416 or wanted is None:
                check_storage(response)
                hf_raise_for_status(response)
            elif wanted != _FIRST_BYTE:  # which an empty file has not
                raise RangeRefusedError("the server has no such part of the file (HTTP 416)")
            yield response

    @contextlib.contextmanager
    def _ask(
        self, url: str, headers: dict[str, str], silence_s: float
    ) -> Iterator[httpx2.Response]:
        from rbee.hive.models import hub_client

        with self._turn:
            if self._client is None:
                self._client = hub_client.make()
        timeout = hub_client.timeout(silence_s)
        with self._client.stream("GET", url, headers=headers, timeout=timeout) as response:
            yield response

    def _check_environment(self, ref: ModelRef) -> None:
        """Before anything of huggingface_hub is imported, which reads the environment once. Raises
        DOWNLOAD_FAILED."""
        try:
            hub_environment.check_endpoint()
        except hub_environment.UnusableError as error:
            raise failed(ref, error.reason, error.hint) from None
        from huggingface_hub import constants

        if constants.is_offline_mode():
            raise failed(ref, "HF_HUB_OFFLINE is set, and it is not on this node")

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            build_hf_headers,
        )

        headers: dict[str, str] = build_hf_headers(
            token=self._token,
            library_name="rbee",
            library_version=__version__,
            # If it were compressed, neither lengths nor ranges would be those of the file, and
            # nobody would know how large an answer becomes.
            headers={"Accept-Encoding": "identity"},
        )
        return headers


def read_range(source: Source, model: RemoteModel, start: int, length: int) -> bytes:
    """`length` bytes of the model's first file. Blocks."""
    data = bytearray()
    with source.stream(model, model.files[0], start, length) as stream:
        skipped = start - stream.start
        for chunk in stream.chunks:
            go_on()
            data += chunk
            if len(data) >= skipped + length:
                break
    if len(data) < skipped + length:
        raise TransientError("Connection closed early")
    return bytes(data[skipped : skipped + length])


async def with_retries(
    model: ModelRef,
    attempt: Callable[[], Awaitable[T]],
    report: Callable[[Download], None],
    bytes_there: Callable[[], int] = lambda: 0,
    total: int | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    attempts: int = ATTEMPTS,
) -> T:
    """What `attempt` returns, tried `attempts` times while it raises TransientError, with pauses
    from 100 ms doubling.

    After an attempt that brought a megabyte the count starts again, so that even a large file
    arrives over a line that breaks now and then. `report` is called before every pause. Raises
    DOWNLOAD_FAILED.
    """
    failed = 0
    while True:
        before = bytes_there()
        try:
            return await attempt()
        except TransientError as error:
            failed = 1 if bytes_there() - before >= PROGRESS_BYTES else failed + 1
            if failed == attempts:
                raise DownloadFailed(
                    model=str(model),
                    attempts=failed,
                    bytes_downloaded=bytes_there(),
                    bytes_total=total,
                    reason=error.reason,
                ) from None
            pause = max(_PAUSES_S[failed], error.pause_s)
            report(
                Download(
                    "retrying",
                    bytes_downloaded=bytes_there(),
                    bytes_total=total,
                    attempt=failed + 1,
                    attempts=attempts,
                    delay_ms=round(pause * 1000),
                    reason=error.reason,
                )
            )
            await sleep(pause)


def _connection(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    return stream.get_extra_info("socket") if stream is not None else None
