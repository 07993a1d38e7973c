"""HTTPS as a client sees it: which CAs are trusted, and why a server is not.

There is no way around the check: a certificate must be valid, for the name or IP address that was
dialed, and signed by a CA that is trusted.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from rbee.contract.errors import ConfigInvalid, TlsFailed
from rbee.gguf.regular_file import open_regular
from rbee.runtime import paths

# OpenSSL's codes of what is wrong with a certificate (X509_V_ERR_…).
_EXPIRED, _NOT_YET_VALID, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64
# Far more than the CAs of a whole system.
_LARGEST = 4 << 20


def trusting(ca: Path | None) -> ssl.SSLContext:
    """A context that trusts the CAs in the file `ca` alone; or if it is None, the system's, and the
    one that this machine has made. Raises CONFIG_INVALID."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ca else ssl.create_default_context()
    named, ca = ca, ca or own_ca()
    try:
        if named or ca.is_file():
            with open_regular(ca) as file:
                found = file.read(_LARGEST)
            context.load_verify_locations(cadata=found.decode("ascii", "ignore"))
        return context
    except (ssl.SSLError, ValueError):
        why = "it holds no certificate"
    except OSError as error:
        why = error.strerror or str(error)
    raise ConfigInvalid(
        f"The CA file {ca} can't be used: {why}.",
        source=str(ca),
        key="queen.ca",
        hint="Name a copy of the queen's ~/.rbee/ca.pem in [queen] ca.",
    )


def own_ca() -> Path:
    """The CA that `rbee-keeper auth certificate` has made here, if it has made one."""
    return paths.home() / ".rbee" / "ca.pem"


def not_trusted(error: ssl.SSLError, host: str, port: int) -> TlsFailed:
    """What a failed handshake with `host`:`port` means."""
    where = f"{host}:{port}"
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    if code is None:
        reason, message = "no_tls", f"{where} does not speak TLS as it should"
        if error.reason:
            message += f" ({error.reason.lower().replace('_', ' ')})"
    elif code == _EXPIRED:
        reason, message = "expired", f"The certificate of {where} has expired"
    elif code == _NOT_YET_VALID:
        reason, message = "not_yet_valid", f"The certificate of {where} is not valid yet"
    elif code in (_WRONG_NAME, _WRONG_ADDRESS):
        reason, message = "wrong_name", f"The certificate of {where} is not for {host}"
    else:
        reason = "unknown_ca"
        message = f"The certificate of {where} is not signed by a CA that is trusted here"
    return TlsFailed(f"{message}.", host=host, port=port, reason=reason)
