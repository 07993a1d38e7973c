"""A server whose certificate is for its address and of a CA that is trusted, but not for today."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = datetime.timedelta(days=1)


class StaleServer:
    """Listens at `host` on a free port; its certificate, signed by the CA in `folder`, is valid for
    a day, which begins `days` from now."""

    def __init__(self, host: str, folder: Path, days: int) -> None:
        pem = folder / f"stale{days}.pem"
        pem.write_bytes(_certificate(host, folder, days * _DAY))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._socket = socket.create_server((host, 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        """Nobody gets further than the handshake."""
        while True:
            try:
                accepted, _ = self._socket.accept()
            except OSError:  # closed
                return
            accepted.settimeout(5)
            with contextlib.suppress(OSError), accepted:
                self._context.wrap_socket(accepted, server_side=True).close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _certificate(host: str, folder: Path, begins: datetime.timedelta) -> bytes:
    """Certificate and key, in PEM."""
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    since = datetime.datetime.now(datetime.UTC) + begins
    name = x509.IPAddress(ipaddress.ip_address(host))
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + _DAY)
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return signed.public_bytes(serialization.Encoding.PEM) + private
