"""The certificate that a daemon shows, and its key: two files, read again when they change."""

from __future__ import annotations

import datetime
import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from rbee.contract.errors import ConfigInvalid
from rbee.gguf.regular_file import open_regular
from rbee.runtime.concurrency import in_thread

# Far more than a chain of certificates needs.
_LARGEST = 1 << 20
_LOOK_S = 0.1
_SOON = datetime.timedelta(days=14)
_REMIND_S = 86_400.0
_CERT, _KEY = "queen.tls_cert", "queen.tls_key"
_RENEW = "Make a new one: rbee-keeper auth certificate"
_log = logging.getLogger("http-server")

_Signature: TypeAlias = tuple[tuple[int, ...] | None, ...]


class Pair(msgspec.Struct, frozen=True):
    """A certificate that has been read together with its key. `names` are the DNS names that it is
    for, `until` is when it expires."""

    context: ssl.SSLContext
    names: frozenset[str]
    until: datetime.datetime


class Certificate:
    """The pair in use. A broken new pair is logged once, and the old one stays."""

    def __init__(self, cert: Path, key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises CONFIG_INVALID for a pair that can't be used."""
        self._files = cert, key
        self._clock = clock
        self._seen = _signature(self._files)
        self.pair = read(cert, key)
        self._looked = clock()
        self._reminded = float("-inf")
        self._take_names: Callable[[frozenset[str]], None] = lambda names: None
        self._remind()

    def tell_names(self, take: Callable[[frozenset[str]], None]) -> None:
        """Call `take` with the DNS names that the certificate is for, now and when it changes."""
        self._take_names = take
        take(self.pair.names)

    async def current(self) -> ssl.SSLContext:
        """The context for a new connection; the files are looked at ten times a second at most."""
        if self._clock() - self._looked >= _LOOK_S:
            self._looked = self._clock()
            await in_thread(self._look)
        return self.pair.context

    def _look(self) -> None:
        signature = _signature(self._files)
        if signature != self._seen:
            self._seen = signature
            try:
                self.pair = read(*self._files)
            except ConfigInvalid as error:
                _log.error("the certificate in use stays: %s %s", error.message, error.advice)
            else:
                _log.info(
                    "%s is read again: valid until %s", self._files[0], self.pair.until.date()
                )
                self._reminded = float("-inf")
                self._take_names(self.pair.names)
        self._remind()

    def _remind(self) -> None:
        """Once a day, if there is reason."""
        left = self.pair.until - datetime.datetime.now(datetime.UTC)
        if left <= _SOON and self._clock() - self._reminded >= _REMIND_S:
            self._reminded = self._clock()
            verb = "expires" if left > datetime.timedelta() else "has expired"
            _log.warning("%s %s on %s. %s", self._files[0], verb, self.pair.until.date(), _RENEW)


def configured(cert: str | None, key: str | None) -> Certificate | None:
    """The certificate that the settings name; None if they name none. Raises CONFIG_INVALID."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing, given = (_CERT, _KEY) if cert is None else (_KEY, _CERT)
        raise ConfigInvalid(
            f"{given} is set, but {missing} is not: HTTPS needs both.",
            source="config",
            key=missing,
            hint=f"Set both, or neither. {_RENEW}",
        )
    return Certificate(Path(cert).expanduser(), Path(key).expanduser())


def read(cert: Path, key: Path) -> Pair:
    """Read a certificate and its key. Raises CONFIG_INVALID, which names the file."""
    found, until = _first(cert)
    names = _dns_names(found)
    now = datetime.datetime.now(datetime.UTC)
    if until <= now:
        raise _unusable(_CERT, cert, f"it expired on {until.date()}")
    if found.not_valid_before_utc > now:
        raise _unusable(_CERT, cert, f"it is not valid before {found.not_valid_before_utc.date()}")
    _bytes(_KEY, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except _Encrypted:
        raise _unusable(_KEY, key, "it is encrypted with a password") from None
    except ssl.SSLError as error:
        mismatch = "MISMATCH" in (error.reason or "")
        why = f"it is not the key of {cert}" if mismatch else "it is not a private key in PEM"
        raise _unusable(_KEY, key, why) from None
    except OSError as error:
        raise _unusable(_KEY, key, error.strerror or str(error)) from None
    return Pair(context, names, until)


class _Encrypted(Exception):
    """A key wants a password, which nobody is there to type."""


def _no_password() -> str:
    raise _Encrypted


def _first(file: Path) -> tuple[Any, datetime.datetime]:
    from cryptography import x509

    try:
        [found, *_] = x509.load_pem_x509_certificates(_bytes(_CERT, file))
        return found, found.not_valid_after_utc
    except ValueError:
        raise _unusable(_CERT, file, "it does not hold a certificate in PEM") from None


def _dns_names(found: Any) -> frozenset[str]:
    from cryptography import x509

    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return frozenset(extension.value.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()


def _bytes(setting: str, path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            found = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unusable(setting, path, error.strerror or str(error)) from None
    if len(found) > _LARGEST:
        raise _unusable(setting, path, "it is too large")
    return found


def _unusable(setting: str, path: Path, why: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"{setting}: {path} can't be used: {why}.",
        source=str(path),
        key=setting,
        hint=_RENEW if setting == _CERT else f"Name another in [queen] tls_key. {_RENEW}",
    )


def _signature(files: tuple[Path, Path]) -> _Signature:
    """Changes when a file does."""
    found: list[tuple[int, ...] | None] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116  a link counts as what it leads to
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
