"""What went wrong with the Hub, in our errors: what another attempt may get past, and what not."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from rbee.contract.errors import DownloadFailed, ModelGated, ModelNotFound, RbeeError
from rbee.contract.model_ref import ModelRef
from rbee.hive.models import hub_environment, hub_replies

if TYPE_CHECKING:
    import httpx2

_LONGEST_PAUSE_S = 60.0
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
# From a storage, as from a Hub they would be final.
_EXPIRED = {401, 403, 404, 410}
_LONGEST_REASON = 200


class TransientError(Exception):
    """A failure that another attempt may get past. `pause_s` is how many seconds the Hub asks to
    wait."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause_s = min(pause_s, _LONGEST_PAUSE_S)


class RangeRefusedError(TransientError):
    """The Hub has nothing behind the byte from which a file was asked for."""


@contextlib.contextmanager
def translated(ref: ModelRef, silence_s: float) -> Iterator[None]:
    """Turn the errors of the client, and of what it reads, into ours. Raises MODEL_NOT_FOUND,
    MODEL_GATED, DOWNLOAD_FAILED, and TransientError where another attempt may help."""
    import httpx2
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        url = f"{_shown(constants.ENDPOINT)}/{ref.name}"
        raise ModelGated(model=str(ref), url=url) from None
    except errors.RevisionNotFoundError:
        message = f"{ref.name} has no revision {ref.revision}."
        raise ModelNotFound(message, model=str(ref), near=[]) from None
    except errors.RemoteEntryNotFoundError:
        raise ModelNotFound(model=str(ref), near=[]) from None
    except errors.RepositoryNotFoundError:
        message = f"The Hub has no repository {ref.name}, or does not show it."
        raise ModelNotFound(message, model=str(ref), near=[]) from None
    except errors.HfHubHTTPError as error:
        raise _refused(ref, error.response) from None
    except hub_environment.UnusableError as error:
        raise failed(ref, error.reason, error.hint) from None
    except httpx2.UnsupportedProtocol:
        raise failed(ref, "the Hub redirects to an address that is not HTTP") from None
    except httpx2.TransportError as error:
        if (refused := _untrusted(error)) is not None:
            raise failed(ref, f"the certificate of the Hub is not trusted: {refused}") from None
        if isinstance(error, httpx2.ProxyError) and str(error).startswith("407"):
            raise _proxy_wants_a_name(ref, _proxy_of(error)) from None
        raise TransientError(_reason(error, silence_s)) from None
    except hub_replies.UnreadableError as error:
        raise failed(ref, f"the Hub's answer can't be read: {error}") from None
    except hub_replies.NotTheFileError as error:
        raise failed(ref, str(error)) from None
    except msgspec.DecodeError:
        reason = f"what answers at {_shown(constants.ENDPOINT)} is not a Hub"
        raise failed(ref, reason) from None
    except httpx2.TooManyRedirects:
        raise failed(ref, "the Hub redirects without end") from None
    except (errors.HFValidationError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise failed(ref, type(error).__name__) from None


def check_storage(response: httpx2.Response) -> None:
    """Raises TransientError if a place to which the Hub leads refuses to send a file: its address
    is signed and expires, and the Hub signs a new one each time it is asked."""
    first = response.history[0].url if response.history else response.url
    is_elsewhere = (first.host, first.port) != (response.url.host, response.url.port)
    status = response.status_code
    if is_elsewhere and status in _EXPIRED and "X-Error-Code" not in response.headers:
        reason = f"the storage that the Hub leads to refuses to send it (HTTP {status})"
        raise TransientError(reason, _asked_pause_s(response.headers))


def failed(ref: ModelRef, reason: str, hint: str | None = None) -> RbeeError:
    """The error for what another attempt does not get past."""
    details: dict[str, Any] = {"hint": hint} if hint else {}
    return DownloadFailed(
        f"{ref} can't be fetched: {reason}.",
        model=str(ref),
        attempts=1,
        bytes_downloaded=0,
        bytes_total=None,
        reason=reason,
        **details,
    )


def _refused(ref: ModelRef, response: httpx2.Response) -> Exception:
    status = response.status_code
    reason = f"HTTP {status}"
    if status in _TRANSIENT:
        return TransientError(reason, _asked_pause_s(response.headers))
    if status == 407:
        return _proxy_wants_a_name(ref, _proxy_of(response))
    if status not in (401, 403):
        return failed(ref, reason)
    first = response.history[0] if response.history else response
    if "Authorization" in first.request.headers:
        return failed(ref, f"the Hub refuses the token of this node ({reason})")
    hint = (
        "If the repository is private, give the node a token: run `hf auth login` there, or set "
        "HF_TOKEN in the environment of its hive. Otherwise try again later."
    )
    return failed(ref, f"the Hub refuses it to a node without a token ({reason})", hint)


def _proxy_wants_a_name(ref: ModelRef, proxy: hub_environment.Proxy | None) -> RbeeError:
    variable = proxy.variable if proxy else "HTTPS_PROXY"
    hint = (
        f"Write them into {variable}, as in http://NAME:PASSWORD@HOST:PORT, then restart the hive, "
        "which keeps the environment that it was started with."
    )
    named = str(proxy) if proxy else "the proxy"
    return failed(ref, f"{named} wants another name and password (HTTP 407)", hint)


def _asked_pause_s(headers: Mapping[str, str]) -> float:
    """What `Retry-After` asks for, which may be seconds or a date (RFC 9110, 10.2.3). A date is
    compared with that of the answer: the clocks may differ."""
    asked = headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return float(asked)
    until = _unix(asked)
    if until is None:
        return 0.0
    now = _unix(headers.get("Date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _unix(date: str) -> float | None:
    try:
        found = email.utils.parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _reason(error: httpx2.TransportError, silence_s: float) -> str:
    """The failure in words; never with the URL, which may be signed."""
    proxy = _proxy_of(error)
    reason = _words(error, silence_s, "the Hub" if proxy is None else "the proxy")
    return reason if proxy is None else f"{reason} (through {proxy})"


def _words(error: httpx2.TransportError, silence_s: float, server: str) -> str:
    import httpx2

    from rbee.hive.models.hub_client import SlowHeadersError

    if isinstance(error, SlowHeadersError):
        return str(error)
    if isinstance(error, httpx2.ProxyError):
        return f"the proxy refuses: {str(error)[:_LONGEST_REASON]}"
    if isinstance(error, httpx2.ConnectTimeout):
        return "no answer to the connection"
    if isinstance(error, httpx2.TimeoutException):
        return f"no byte for {silence_s:g} s"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "Connection closed early"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the name of {server} can't be resolved"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no reason was given'}"
        if isinstance(cause, OSError) and cause.errno is not None:
            known = {errno.ECONNRESET: "Connection reset", errno.ECONNREFUSED: "Connection refused"}
            return known.get(cause.errno) or os.strerror(cause.errno)
    return "Connection failed"


def _proxy_of(of: httpx2.TransportError | httpx2.Response) -> hub_environment.Proxy | None:
    """The proxy through which a request went."""
    try:
        url = of.request.url
    except RuntimeError:  # an error without a request
        return None
    return hub_environment.proxy_for(url.scheme, url.host, url.port)


def _shown(address: str) -> str:
    """An address without the name and password that it may hold."""
    found = urlsplit(address)
    return found._replace(netloc=found.netloc.rpartition("@")[2]).geturl()


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
