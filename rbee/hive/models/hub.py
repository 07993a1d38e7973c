"""The Hugging Face Hub, through its own client: addresses, tokens, and how it names errors.

Only the bytes are read here rather than by `hf_hub_download`: that one resumes no file of another
process, checks no hash, and tries for half a minute by itself before it says that nothing answers.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import msgspec

from rbee import __version__
from rbee.contract.errors import DownloadFailed, ModelGated, ModelNotFound, RbeeError
from rbee.contract.model_ref import ModelRef
from rbee.hive.models.repository import Listing, RemoteFile, RemoteModel

if TYPE_CHECKING:
    import httpx2

_CONNECT_S = 2.0
_LISTING_S = 10.0
_LONGEST_PAUSE_S = 60.0
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class PassingError(Exception):
    """A failure that may pass. `pause_s` is what the Hub asks to wait, in seconds."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause_s = min(pause_s, _LONGEST_PAUSE_S)


class Flow(msgspec.Struct, frozen=True):
    """Bytes on their way, the first of them at `start` of the file."""

    start: int
    pieces: Iterator[bytes]
    connection: socket.socket | None

    def cut(self) -> None:
        """Wake whoever waits for the next piece; from any thread."""
        if self.connection is not None:
            with contextlib.suppress(OSError):
                # Not a TLS socket's own: that one also forgets its keys, and whoever is just
                # reading gets what is still encrypted.
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


class Hub:
    """Every call blocks: not for the event loop. Raises MODEL_NOT_FOUND, MODEL_GATED,
    DOWNLOAD_FAILED, and PassingError for what is worth another attempt."""

    def __init__(self, stall_s: float, token: str | None = None) -> None:
        """Without a `token` this machine's own is shown, where it has one."""
        self.stall_s = stall_s
        self._token = token
        # Before the import. Its list of coding agents, for the user agent, is fetched otherwise.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        # At INFO they log every URL, and that of a redirect is signed.
        for name in ("httpx2", "httpcore2", "huggingface_hub"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def listing(self, ref: ModelRef) -> Listing:
        """What the repository of `ref` holds at its revision."""
        from huggingface_hub import HfApi

        with _told(ref, _LISTING_S):
            api = HfApi(token=self._token, library_name="rbee", library_version=__version__)
            info = api.model_info(
                ref.name,
                revision=ref.revision,
                files_metadata=True,
                timeout=cast(Any, _timeout(_LISTING_S)),
            )
        files = (
            RemoteFile(
                found.rfilename,
                found.size or 0,
                found.lfs.sha256 if found.lfs else None,
                found.blob_id or "",
            )
            for found in info.siblings or []
        )
        return Listing(info.sha or ref.revision or "main", tuple(files))

    def piece(self, model: RemoteModel, start: int, length: int) -> bytes:
        """`length` bytes of the model's first file."""
        came = bytearray()
        with self.flow(model, model.files[0], start, length) as flow:
            skipped = start - flow.start
            for piece in flow.pieces:
                came += piece
                if len(came) >= skipped + length:
                    break
        if len(came) < skipped + length:
            raise PassingError("Connection closed early")
        return bytes(came[skipped : skipped + length])

    @contextlib.contextmanager
    def flow(
        self, model: RemoteModel, file: RemoteFile, start: int, length: int | None = None
    ) -> Iterator[Flow]:
        """The file's bytes from `start` on; from 0 where the server does not do ranges."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported late
            build_hf_headers,
            get_session,
            hf_raise_for_status,
        )

        url = hf_hub_url(model.reference.name, file.path, revision=model.commit)
        # Compressed, neither its length nor a range would mean the file's own bytes.
        headers = {"Accept-Encoding": "identity"}
        if start or length is not None:
            end = start + length - 1 if length is not None else ""
            headers["Range"] = f"bytes={start}-{end}"
        headers = build_hf_headers(
            token=self._token, library_name="rbee", library_version=__version__, headers=headers
        )
        with (
            _told(model.reference, self.stall_s),
            get_session().stream(
                "GET", url, headers=headers, timeout=_timeout(self.stall_s)
            ) as response,
        ):
            hf_raise_for_status(response)
            yield Flow(_begins(response, start, file), response.iter_raw(), _connection(response))


def _begins(response: httpx2.Response, start: int, file: RemoteFile) -> int:
    """At which byte of the file the answer begins. Raises PassingError for what is another thing: a
    page that wants a room number must not be taken for a model."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status_code == 206 and ranged:
        if (int(ranged[1]), int(ranged[2])) == (start, file.size_bytes):
            return start
    elif response.headers.get("Content-Length") == str(file.size_bytes):
        return 0
    elif start == 0 and not response.headers.get("Content-Type", "").startswith("text/"):
        return 0  # cut short on the way, perhaps; but nothing is lost by it
    raise PassingError(f"what answers is not {file.path}")


def _timeout(silence_s: float) -> httpx2.Timeout:
    import httpx2

    return httpx2.Timeout(silence_s, connect=_CONNECT_S)


def _connection(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    return stream.get_extra_info("socket") if stream is not None else None


@contextlib.contextmanager
def _told(ref: ModelRef, silence_s: float) -> Iterator[None]:
    """Turn what the client raises into ours."""
    import httpx2
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        url = f"{constants.ENDPOINT}/{ref.name}"
        raise ModelGated(model=str(ref), url=url) from None
    except errors.RevisionNotFoundError:
        told = f"{ref.name} has no revision {ref.revision}."
        raise ModelNotFound(told, model=str(ref), near=[]) from None
    except errors.RemoteEntryNotFoundError:
        raise ModelNotFound(model=str(ref), near=[]) from None
    except errors.RepositoryNotFoundError:
        told = f"The Hub has no repository {ref.name}, or does not show it."
        raise ModelNotFound(told, model=str(ref), near=[]) from None
    except errors.OfflineModeIsEnabled:
        raise _failed(ref, "HF_HUB_OFFLINE is set, and it is not on this node") from None
    except errors.HfHubHTTPError as error:
        raise _refused(ref, error) from None
    except httpx2.TransportError as error:
        if (refused := _untrusted(error)) is not None:
            raise _failed(ref, f"the certificate of the Hub is not trusted: {refused}") from None
        raise PassingError(_reason(error, silence_s)) from None
    except json.JSONDecodeError:
        raise _failed(ref, f"what answers at {constants.ENDPOINT} is no Hub") from None
    except (errors.HFValidationError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _failed(ref, type(error).__name__) from None


def _refused(ref: ModelRef, error: Any) -> Exception:
    response = error.response
    status = response.status_code
    reason = f"HTTP {status}"
    if status in _PASSING:
        asked = response.headers.get("Retry-After", "")
        return PassingError(reason, float(asked) if asked.isdigit() else 0.0)
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
    """In words; never with the URL, which may be signed."""
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
    """Why a certificate was refused, which no other attempt changes."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
