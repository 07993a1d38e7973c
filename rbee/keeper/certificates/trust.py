"""How other machines and programs come to trust the CA, in words to copy."""

from __future__ import annotations

import shlex
from pathlib import Path

_PLACES = """\
Other programs must trust the CA, too ({name} is not secret):
  Debian, Ubuntu    sudo cp {ca} /usr/local/share/ca-certificates/rbee.crt && sudo update-ca-certificates
  Fedora            sudo trust anchor {ca}
  macOS             security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {ca}
  Windows           certutil -user -addstore Root {name}
  Firefox           Settings, Certificates, View Certificates, Authorities, Import
  Chrome on Linux   chrome://certificate-manager, Custom, Trusted Certificates, Import
  Python            export SSL_CERT_FILE={ca} REQUESTS_CA_BUNDLE={ca}
  Node.js           export NODE_EXTRA_CA_CERTS={ca}"""  # noqa: E501  commands to copy stay in one line


def instructions(ca: Path, url: str) -> str:
    """What to do on other machines that use the queen at `url`, and with other programs."""
    return f"""\
Another machine's rbee-keeper needs a copy of {ca.name}, and in its config file:
  [queen]
  url = "{url}"
  ca = "~/.config/rbee/{ca.name}"
{_PLACES.format(ca=shlex.quote(str(ca)), name=ca.name)}"""
