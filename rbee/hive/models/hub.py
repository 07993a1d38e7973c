"""The Hugging Face Hub through its own client, and when to ask it again.

Addresses, tokens and error names are the client's. Only the bytes are read here rather than by
`hf_hub_download`, which resumes no other process's file, checks no hash, and retries for half a
minute before it says that nothing answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from rbee import __version__
from rbee.contract.errors import DownloadFailed, ModelGated, ModelNotFound, RbeeError
from rbee.contract.events import Download
from rbee.contract.model_ref import ModelRef
from rbee.hive.models import hub_replies
from rbee.hive.models.repository import Listing, RemoteFile, RemoteModel
from rbee.runtime.concurrency import go_on
from rbee.runtime.retry import doubling

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

_CONNECT_S = 2.0
_LISTING_S = 10.0
_LONGEST_PAUSE_S = 60.0
ATTEMPTS = 6
_PAUSES_S = tuple(doubling(0.1, ATTEMPTS))
# An attempt that brought this much starts the count again.
_PROGRESS_BYTES = 1 << 20
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class TransientError(Exception):
    """A failure that another attempt may get past. `pause_s` is how many seconds the Hub asks to
    wait."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause_s = min(pause_s, _LONGEST_PAUSE_S)


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


class Hub:
    """Every call blocks: not for the event loop. Raises MODEL_NOT_FOUND, MODEL_GATED,
    DOWNLOAD_FAILED, and TransientError where another attempt may help."""

    def __init__(self, stall_s: float, token: str | None = None) -> None:
        """Without a `token` this machine's own is used, if it has one."""
        self.stall_s = stall_s
        self._token = token
        # Before the import: otherwise it fetches a list of coding agents for its user agent.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        # At INFO they log every URL, and the URL of a redirect is signed.
        for name in ("httpx2", "httpcore2", "huggingface_hub"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def listing(self, ref: ModelRef) -> Listing:
        """The files of the repository of `ref` at its revision."""
        from huggingface_hub import constants
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
            validate_repo_id,
        )

        with _translated(ref, _LISTING_S):
            validate_repo_id(ref.name)
            at = f"/revision/{quote(ref.revision, safe='')}" if ref.revision else ""
            url = f"{constants.ENDPOINT}/api/models/{ref.name}{at}?blobs=true"
            with _client().stream(
                "GET", url, headers=self._headers(), timeout=_timeout(_LISTING_S)
            ) as response:
                hf_raise_for_status(response)
                body = hub_replies.read_whole(
                    response, hub_replies.LISTING_BYTES, hub_replies.LISTING_WITHIN_S
                )
            return hub_replies.listing(body, ref.revision or "main")

    def search(self, words: str, limit: int) -> list[hub_replies.Match]:
        """The repositories with GGUF files whose names have `words`, most downloaded first."""
        from huggingface_hub import constants
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
        )

        asked = {"search": words, "filter": "gguf", "sort": "downloads", "limit": str(limit)}
        url = f"{constants.ENDPOINT}/api/models?{urlencode(asked)}"
        with (
            _translated(ModelRef("hf", words), _LISTING_S),
            _client().stream(
                "GET", url, headers=self._headers(), timeout=_timeout(_LISTING_S)
            ) as response,
        ):
            hf_raise_for_status(response)
            body = hub_replies.read_whole(
                response, hub_replies.SEARCH_BYTES, hub_replies.SEARCH_WITHIN_S
            )
            return hub_replies.matches(body, limit)

    def read_range(self, model: RemoteModel, start: int, length: int) -> bytes:
        """`length` bytes of the model's first file."""
        data = bytearray()
        with self.stream(model, model.files[0], start, length) as stream:
            skipped = start - stream.start
            for chunk in stream.chunks:
                go_on()
                data += chunk
                if len(data) >= skipped + length:
                    break
        if len(data) < skipped + length:
            raise TransientError("Connection closed early")
        return bytes(data[skipped : skipped + length])

    @contextlib.contextmanager
    def stream(
        self, model: RemoteModel, file: RemoteFile, start: int, length: int | None = None
    ) -> Iterator[FileStream]:
        """The file's bytes from `start` on; from 0 if the server does not support ranges."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            hf_raise_for_status,
        )

        url = hf_hub_url(model.reference.name, file.path, revision=model.commit)
        headers = self._headers()
        if start or length is not None:
            end = start + length - 1 if length is not None else ""
            headers["Range"] = f"bytes={start}-{end}"
        with (
            _translated(model.reference, self.stall_s),
            _client().stream(
                "GET", url, headers=headers, timeout=_timeout(self.stall_s)
            ) as response,
        ):
            hf_raise_for_status(response)
            yield FileStream(
                _first_byte(response, start, file), response.iter_raw(), _connection(response)
            )

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


async def with_retries(
    model: ModelRef,
    attempt: Callable[[], Awaitable[T]],
    report: Callable[[Download], None],
    bytes_there: Callable[[], int] = lambda: 0,
    total: int | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """What `attempt` returns, tried six times while it raises TransientError, with pauses from
    100 ms doubling.

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
            failed = 1 if bytes_there() - before >= _PROGRESS_BYTES else failed + 1
            if failed == ATTEMPTS:
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
                    attempts=ATTEMPTS,
                    delay_ms=round(pause * 1000),
                    reason=error.reason,
                )
            )
            await sleep(pause)


def _first_byte(response: httpx2.Response, start: int, file: RemoteFile) -> int:
    """The byte of the file at which the answer starts. Raises TransientError for an answer that is
    not the file: the login page of a hotel network must not be taken for a model."""
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
    raise TransientError(f"the server did not send {file.path}")


def _client() -> httpx2.Client:
    """The client of huggingface_hub, which reads no more than some of an error or a redirect."""
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]  # exported late

    client: httpx2.Client = get_session()
    hooks = client.event_hooks
    if hub_replies.bound not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], hub_replies.bound]}
    return client


def _timeout(silence_s: float) -> httpx2.Timeout:
    import httpx2

    return httpx2.Timeout(silence_s, connect=_CONNECT_S)


def _connection(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    return stream.get_extra_info("socket") if stream is not None else None


@contextlib.contextmanager
def _translated(ref: ModelRef, silence_s: float) -> Iterator[None]:
    """Turn the client's errors into ours."""
    import httpx2
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        url = f"{constants.ENDPOINT}/{ref.name}"
        raise ModelGated(model=str(ref), url=url) from None
    except errors.RevisionNotFoundError:
        message = f"{ref.name} has no revision {ref.revision}."
        raise ModelNotFound(message, model=str(ref), near=[]) from None
    except errors.RemoteEntryNotFoundError:
        raise ModelNotFound(model=str(ref), near=[]) from None
    except errors.RepositoryNotFoundError:
        message = f"The Hub has no repository {ref.name}, or does not show it."
        raise ModelNotFound(message, model=str(ref), near=[]) from None
    except errors.OfflineModeIsEnabled:
        raise _failed(ref, "HF_HUB_OFFLINE is set, and it is not on this node") from None
    except errors.HfHubHTTPError as error:
        raise _refused(ref, error) from None
    except httpx2.TransportError as error:
        if (refused := _untrusted(error)) is not None:
            raise _failed(ref, f"the certificate of the Hub is not trusted: {refused}") from None
        raise TransientError(_reason(error, silence_s)) from None
    except hub_replies.UnreadableError as error:
        raise _failed(ref, f"the Hub's answer can't be read: {error}") from None
    except msgspec.DecodeError:
        raise _failed(ref, f"what answers at {constants.ENDPOINT} is not a Hub") from None
    except httpx2.TooManyRedirects:
        raise _failed(ref, "the Hub redirects without end") from None
    except (errors.HFValidationError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _failed(ref, type(error).__name__) from None


def _refused(ref: ModelRef, error: Any) -> Exception:
    response = error.response
    status = response.status_code
    reason = f"HTTP {status}"
    if status in _TRANSIENT:
        asked = response.headers.get("Retry-After", "")
        pause = float(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else 0.0
        return TransientError(reason, pause)
    if status in (401, 403):
        reason = f"the Hub refuses the token of this node ({reason})"
    return _failed(ref, reason)


def _failed(ref: ModelRef, reason: str) -> RbeeError:
    return DownloadFailed(
        f"{ref} can't be fetched: {reason}.",
        model=str(ref),
        attempts=1,
        bytes_downloaded=0,
        bytes_total=None,
        reason=reason,
    )


def _reason(error: httpx2.TransportError, silence_s: float) -> str:
    """The failure in words; never with the URL, which may be signed."""
    import httpx2

    if isinstance(error, httpx2.ConnectTimeout):
        return "no answer to the connection"
    if isinstance(error, httpx2.TimeoutException):
        return f"no byte for {silence_s:g} s"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "Connection closed early"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "the name of the Hub can't be resolved"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no reason was given'}"
        if isinstance(cause, OSError) and cause.errno is not None:
            known = {errno.ECONNRESET: "Connection reset", errno.ECONNREFUSED: "Connection refused"}
            return known.get(cause.errno) or os.strerror(cause.errno)
    return "Connection failed"


def _untrusted(error: BaseException) -> str | None:
    """Why the certificate was refused; another attempt would not change it."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
