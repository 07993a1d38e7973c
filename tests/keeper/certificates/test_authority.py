"""The CA and what it signs, as OpenSSL judges both, through Python and by its own program."""

from __future__ import annotations

import datetime
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from rbee.contract.errors import ConfigInvalid
from rbee.keeper.certificates import authority
from rbee.keeper.certificates.authority import Authority
from rbee.keeper.certificates.names import Names

OWN = Names(["localhost", "box.example.net", "box.local"], ["127.0.0.1", "::1", "192.168.1.5"])


def shaken(folder: Path, ca: Authority, names: Names, asked: str, days: int = 30) -> str | None:
    """What a strict client says that trusts the CA and asks for a name; None if it is content."""
    pem, key, _ = ca.sign(names, days)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(key)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.verify_flags |= ssl.VERIFY_X509_STRICT
    theirs.load_verify_locations(cadata=ca.pem.decode())
    to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = ours.wrap_bio(to, back, server_side=True)
    client = theirs.wrap_bio(back, to, server_hostname=asked)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    assert client.getpeercert()
    return None


@pytest.mark.parametrize("asked", OWN.all)
def test_a_certificate_is_trusted_for_every_name(tmp_path: Path, asked: str) -> None:
    assert shaken(tmp_path, authority.create("box", OWN), OWN, asked) is None


@pytest.mark.parametrize(
    "other",
    ["www.example.org", "example.com", "localhost.example.org", "boxes", "8.8.8.8", "2001:db8::1"],
)
def test_the_ca_can_not_sign_for_others(tmp_path: Path, other: str) -> None:
    ca = authority.create("box", OWN)
    assert not ca.permits(other)
    is_ip = re.fullmatch(r"[\d.]+|.*::.*", other)
    forged = Names([], [other]) if is_ip else Names([other], [])
    assert shaken(tmp_path, ca, forged, other) == "permitted subtree violation"


@pytest.mark.parametrize(
    "own", ["attic.local", "nas.home.arpa", "10.1.2.3", "fd00::9", "a.box.example.net"]
)
def test_the_ca_may_sign_for_other_local_names(tmp_path: Path, own: str) -> None:
    ca = authority.create("box", OWN)
    assert ca.permits(own)
    is_ip = re.fullmatch(r"[\d.]+|.*::.*", own)
    assert shaken(tmp_path, ca, Names([], [own]) if is_ip else Names([own], []), own) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl program")
def test_the_openssl_program_trusts_it_too(tmp_path: Path) -> None:
    ca = authority.create("box", OWN)
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "cert.pem").write_bytes(ca.sign(OWN, 30)[0])
    words = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.pem"]
    words += ["-verify_ip", "192.168.1.5", "cert.pem"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "cert.pem: OK\n"), ran.stderr


def test_a_certificate_is_no_ca_and_for_servers_only() -> None:
    ca = authority.create("box", OWN)
    found = x509.load_pem_x509_certificate(ca.sign(OWN, 30)[0]).extensions
    assert found.get_extension_for_class(x509.BasicConstraints).value.ca is False
    [purpose] = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purpose == x509.ExtendedKeyUsageOID.SERVER_AUTH
    limits = ca.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical


def test_a_certificate_is_valid_for_its_days_and_never_longer_than_the_ca() -> None:
    ca = authority.create("box", OWN)
    now = datetime.datetime.now(datetime.UTC)
    assert ca.sign(OWN, 30)[2] - now > datetime.timedelta(days=29)
    assert ca.sign(OWN, 30)[2] - now < datetime.timedelta(days=31)
    assert ca.sign(OWN, 9999)[2] == ca.until


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    ca = authority.create("box", OWN)
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "ca-key.pem").write_bytes(ca.key_pem)
    return tmp_path / "ca.pem", tmp_path / "ca-key.pem"


def test_a_ca_that_was_written_signs_again(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = authority.load(*files)
    assert found.pem == files[0].read_bytes()
    assert shaken(tmp_path, found, OWN, "box.local") is None


def test_a_ca_that_can_not_sign_is_told_with_the_file(files: tuple[Path, Path]) -> None:
    cert, key = files
    others = authority.create("box", OWN)
    for file, content, why in (
        (key, others.key_pem, "it is not the key of"),
        (key, b"no key", "ca-key.pem"),
        (key, None, "No such file"),
        (cert, b"no certificate", "ca.pem"),
        (cert, None, "No such file"),
    ):
        was = {each: each.read_bytes() for each in files}
        file.unlink() if content is None else file.write_bytes(content)
        with pytest.raises(ConfigInvalid, match=why) as raised:
            authority.load(*files)
        assert raised.value.details["source"] == str(file)
        assert "--new-ca" in raised.value.advice
        for each, before in was.items():
            each.write_bytes(before)
