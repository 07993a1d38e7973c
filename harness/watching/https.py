"""A client that speaks HTTPS to the queen and trusts a CA, as curl would, and what the queen shows
it."""

import datetime
import hashlib
import http.client
import json
import socket
import ssl
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.world.waiting import wait_until
from harness.world.world import World

# Valid until 2120; nobody has its key.
_SOMEBODY_ELSE = """\
-----BEGIN CERTIFICATE-----
MIIBCzCBvqADAgECAgEBMAUGAytlcDAkMSIwIAYDVQQDDBlBbiBhdXRob3JpdHkg
b2YgdGhpcyB0ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAk
MSIwIAYDVQQDDBlBbiBhdXRob3JpdHkgb2YgdGhpcyB0ZXN0MCowBQYDK2VwAyEA
Z/Mt5nvGvAfZUsVPIgLrpVOG4SQqmMj5Ybq50zjapqqjEzARMA8GA1UdEwEB/wQF
MAMBAf8wBQYDK2VwA0EA8WT8Hd6UrHfDt0QvTbUmTQMHVrsp+q9bCQ2aNDutNeNI
TTsnjKTcqxNsP5R1pMzRCwDboTMsgMnc1zg3lDwhBg==
-----END CERTIFICATE-----
"""


@dataclass(frozen=True)
class Shown:
    """The queen's reply to GET /health, or why there is none; and its certificate."""

    health: Any = None
    refused: str = ""
    days: float = 0
    certificate: bytes = b""


def names_of_this_machine() -> set[str]:
    """What other machines of a home network call it: its name in mDNS, and its addresses."""
    found = (each for group in psutil.net_if_addrs().values() for each in group)
    addresses = {each.address for each in found if each.family == socket.AF_INET}
    return {f"{socket.gethostname().partition('.')[0].lower()}.local", "::1"} | addresses


def ask(world: World, name: str) -> Shown:
    """Ask the queen, at its address, as a client that knows it by that name, and trusts the CA."""
    trusting = ssl.create_default_context(cafile=str(ca_of(world)))
    opened = socket.create_connection(world.queen_address, timeout=10)
    try:
        encrypted = trusting.wrap_socket(opened, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        opened.close()
        return Shown(refused=error.verify_message)
    connection = http.client.HTTPConnection(name, world.queen_address[1])
    connection.sock = encrypted
    try:
        found, shown = encrypted.getpeercert(), encrypted.getpeercert(binary_form=True)
        assert found and shown
        until = ssl.cert_time_to_seconds(str(found["notAfter"]))
        connection.request("GET", "/health")
        reply = connection.getresponse()
        health = json.loads(reply.read())
        assert reply.status == 200, health
        left = until - datetime.datetime.now(datetime.UTC).timestamp()
        return Shown(health, days=left / 86_400, certificate=shown)
    finally:
        connection.close()


def wait_for_certificate_on_disk(world: World, within: float) -> None:
    """Wait until the queen shows the one that is in ~/.rbee now."""
    wanted = ssl.PEM_cert_to_DER_cert((world.home / ".rbee" / "queen.pem").read_text())
    wait_until(
        "the queen to show the certificate on disk",
        lambda: ask(world, "localhost").certificate == wanted,
        within,
    )


def fingerprint_of(pem: Path) -> str:
    """The SHA-256 of a certificate, as browsers show it."""
    der = ssl.PEM_cert_to_DER_cert(pem.read_text())
    return hashlib.sha256(der).digest().hex(":").upper()


def ca_of(world: World) -> Path:
    return world.home / ".rbee" / "ca.pem"


def somebody_elses_ca(world: World) -> Path:
    """Write a CA that has signed nothing here."""
    file = world.root / "somebody-else.pem"
    file.write_text(_SOMEBODY_ELSE)
    return file


def mode_of(world: World, name: str) -> str:
    """Return the mode of a file in ~/.rbee, as chmod takes it."""
    return f"{stat.S_IMODE((world.home / '.rbee' / name).stat().st_mode):o}"


def configured(world: World) -> dict[str, Any]:
    """Return what the config file says of the queen."""
    return dict(tomllib.loads(world.config.read_text())["queen"])
