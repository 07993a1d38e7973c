"""A CA for one machine, which can sign for nothing but this machine and local networks.

Other machines trust it, so a thief of its key must not be able to pass for a bank: its certificate
says, in an extension that no program may ignore (RFC 5280, 4.2.1.10), for which names and addresses
it may sign.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rbee.contract.errors import ConfigInvalid, RbeeError
from rbee.gguf.regular_file import open_regular
from rbee.keeper.certificates.names import Names, Network, domains, networks

_CA_DAYS = 3650
_LARGEST = 1 << 16
# The clock of another machine may be a little behind.
_SKEW = datetime.timedelta(hours=1)
_LONGEST_NAME = 64
_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


class Authority:
    """A CA's certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @property
    def until(self) -> datetime.datetime:
        """When the CA expires."""
        return self.certificate.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the certificate, as browsers show it: `AB:CD:…`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _key_pem(self._key)

    def permits(self, name: str) -> bool:
        """Whether it may sign for a DNS name or an IP address."""
        allowed = self.certificate.extensions.get_extension_for_class(x509.NameConstraints)
        trees = allowed.value.permitted_subtrees or []
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            names = [tree.value for tree in trees if isinstance(tree, x509.DNSName)]
            return any(name == each or name.endswith(f".{each}") for each in names)
        found = [tree.value for tree in trees if isinstance(tree, x509.IPAddress)]
        return any(address in each for each in found if not isinstance(each, _Address))

    def sign(self, names: Names, days: int) -> tuple[bytes, bytes, datetime.datetime]:
        """A new key and its certificate for `names`, both in PEM, and when it expires: after `days`
        days, or with the CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(_now() + datetime.timedelta(days=days), self.until)
        issuer = self._key.public_key()
        signed = (
            _builder(f"queen-rbee on {(*names.dns, *names.ips)[0]}", key, until)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(_SERVERS, critical=False)
            .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        pem = signed.public_bytes(serialization.Encoding.PEM)
        return pem, _key_pem(key), signed.not_valid_after_utc


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def create(machine: str, names: Names) -> Authority:
    """A new CA of `machine`, which may sign for `names` and for local networks."""
    key = ec.generate_private_key(ec.SECP256R1())
    title = f"rbee CA of {machine}"[:_LONGEST_NAME]
    builder = _builder(title, key, _now() + datetime.timedelta(days=_CA_DAYS))
    made = (
        builder.issuer_name(_titled(title))
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(_SERVERS, critical=False)
        .add_extension(_constraints(domains(names), networks(names)), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(made, key)


def load(cert: Path, key: Path) -> Authority:
    """The CA in these two files. Raises CONFIG_INVALID if it can't sign any more."""
    try:
        with open_regular(cert) as file:
            certificate = x509.load_pem_x509_certificate(file.read(_LARGEST))
    except (OSError, ValueError) as error:
        raise _unusable(cert, error) from None
    try:
        with open_regular(key) as file:
            private = serialization.load_pem_private_key(file.read(_LARGEST), None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(key, error) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or (
        private.public_key() != certificate.public_key()
    ):
        raise _unusable(key, ValueError(f"it is not the key of {cert}"))
    if certificate.not_valid_after_utc <= _now():
        raise _unusable(cert, ValueError("it has expired"))
    return Authority(certificate, private)


def not_permitted(cert: Path, names: Sequence[str]) -> RbeeError:
    """The error for names that the CA may not sign for."""
    return ConfigInvalid(
        f"The CA {cert} may not sign for {', '.join(names)}.",
        source=str(cert),
        key="--name",
        hint="Make a CA that may, which everything must trust instead: add --new-ca",
    )


def _unusable(path: Path, error: Exception) -> ConfigInvalid:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigInvalid(
        f"The CA can't be used: {path}: {why or 'it can not be read'}.",
        source=str(path),
        key="ca",
        hint="Put the file back from a backup; or make a CA, which everything must trust instead: "
        "rbee-keeper auth certificate --new-ca",
    )


def _builder(
    title: str, key: ec.EllipticCurvePrivateKey, until: datetime.datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_titled(title[:_LONGEST_NAME]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - _SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _titled(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _general(names: Names) -> list[x509.GeneralName]:
    ips = [x509.IPAddress(ipaddress.ip_address(each)) for each in names.ips]
    return [*(x509.DNSName(each) for each in names.dns), *ips]


def _constraints(dns: Sequence[str], ips: Sequence[Network]) -> x509.NameConstraints:
    trees = [*(x509.DNSName(each) for each in dns), *(x509.IPAddress(each) for each in ips)]
    return x509.NameConstraints(permitted_subtrees=trees, excluded_subtrees=None)


def _usage(
    digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
