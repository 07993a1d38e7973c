"""The queen's certificate and key: what is refused, and what happens when the files change."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from rbee.contract.errors import ConfigInvalid
from rbee.runtime import certificate
from rbee.runtime.certificate import Certificate
from tests.certificates import pair, pem_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(cert: Path | None, key: Path | None) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as raised:
        certificate.configured(cert and str(cert), key and str(key))
    assert raised.value.advice
    return raised.value


def test_without_a_certificate_there_is_no_https() -> None:
    assert certificate.configured(None, None) is None


def test_one_setting_without_the_other_is_refused(tmp_path: Path) -> None:
    cert, key = pair(tmp_path)
    assert refused(cert, None).details["key"] == "queen.tls_key"
    assert refused(None, key).details["key"] == "queen.tls_cert"


def test_the_files_may_be_named_from_home(home: Path) -> None:
    pair(home / "tls")
    assert certificate.configured("~/tls/cert.pem", "~/tls/key.pem") is not None


def _absent(cert: Path, key: Path) -> None:
    cert.unlink()


def _pipe(cert: Path, key: Path) -> None:
    cert.unlink()
    os.mkfifo(cert)


def _device(cert: Path, key: Path) -> None:
    key.unlink()
    key.symlink_to("/dev/zero")


def _folder(cert: Path, key: Path) -> None:
    key.unlink()
    key.mkdir()


def _large(cert: Path, key: Path) -> None:
    with key.open("ab") as file:
        file.truncate(1 << 30)


def _not_a_certificate(cert: Path, key: Path) -> None:
    cert.write_bytes(key.read_bytes())


def _cut_short(cert: Path, key: Path) -> None:
    cert.write_bytes(cert.read_bytes()[:200])


def _not_a_key(cert: Path, key: Path) -> None:
    key.write_text("secret")


def _anothers_key(cert: Path, key: Path) -> None:
    key.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))


def _encrypted(cert: Path, key: Path) -> None:
    key.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1()), b"password"))


def _expired(cert: Path, key: Path) -> None:
    pair(cert.parent, since=-9, until=-1)


def _future(cert: Path, key: Path) -> None:
    pair(cert.parent, since=1)


@pytest.mark.parametrize(
    ("spoil", "setting", "why"),
    [
        (_absent, "queen.tls_cert", "No such file or directory"),
        (_pipe, "queen.tls_cert", "it is not a regular file"),
        (_not_a_certificate, "queen.tls_cert", "it does not hold a certificate in PEM"),
        (_cut_short, "queen.tls_cert", "it does not hold a certificate in PEM"),
        (_expired, "queen.tls_cert", r"it expired on \d{4}-\d\d-\d\d"),
        (_future, "queen.tls_cert", r"it is not valid before \d{4}-\d\d-\d\d"),
        (_device, "queen.tls_key", "it is not a regular file"),
        (_folder, "queen.tls_key", "Is a directory"),
        (_large, "queen.tls_key", "it is too large"),
        (_not_a_key, "queen.tls_key", "it is not a private key in PEM"),
        (_anothers_key, "queen.tls_key", "it is not the key of .*cert.pem"),
        (_encrypted, "queen.tls_key", "it is encrypted with a password"),
    ],
)
def test_a_pair_that_can_not_be_used_is_refused_with_the_reason(
    tmp_path: Path, spoil: Callable[[Path, Path], None], setting: str, why: str
) -> None:
    cert, key = pair(tmp_path)
    spoil(cert, key)
    error = refused(cert, key)
    assert error.details["key"] == setting
    assert re.fullmatch(rf"{setting}: {tmp_path}/\w+.pem can't be used: {why}\.", error.message)


async def test_a_new_pair_is_used_once_a_second_has_passed(tmp_path: Path) -> None:
    clock = Clock()
    found = Certificate(*pair(tmp_path, names=["old.local", "127.0.0.1"]), clock)
    told: list[frozenset[str]] = []
    found.tell_names(told.append)
    first = await found.current()
    pair(tmp_path, names=["new.local"])
    clock.now = 0.09
    assert await found.current() is first
    clock.now = 0.1
    assert await found.current() is not first
    assert told == [{"old.local"}, {"new.local"}]


async def test_a_pair_that_stays_is_not_read_again(tmp_path: Path) -> None:
    clock = Clock()
    found = Certificate(*pair(tmp_path), clock)
    first = await found.current()
    clock.now = 100
    assert await found.current() is first


async def test_a_broken_new_pair_is_told_once_and_the_old_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cert, key = pair(tmp_path)
    found = Certificate(cert, key, clock)
    first = await found.current()
    cert.write_text("broken")
    for clock.now in range(1, 10):
        assert await found.current() is first
    [told] = caplog.records
    assert "the certificate in use stays" in told.message and str(cert) in told.message
    pair(tmp_path)
    clock.now = 20
    assert await found.current() is not first


@pytest.mark.parametrize(("days", "reminders"), [(13.9, 2), (14.1, 0)])
async def test_a_certificate_that_expires_soon_is_told_once_a_day(
    tmp_path: Path, days: float, reminders: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    found = Certificate(*pair(tmp_path, until=days), clock)
    for clock.now in (10, 86_399, 86_400, 90_000):
        await found.current()
    told = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert len(told) == reminders
    assert all("expires on" in each and "rbee-keeper auth certificate" in each for each in told)
