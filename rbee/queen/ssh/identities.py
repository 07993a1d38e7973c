"""Which keys are offered to an SSH server, and in which order: as the person's own ssh does it.

asyncssh offers every key of the agent first, in the agent's order. Most servers hang up after six
keys, so that the one which the person named would never be tried.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbee.runtime.error_text import strerror
from rbee.runtime.paths import home

if TYPE_CHECKING:
    import asyncssh

# Where ~/.ssh/config names none: IdentityFile in ssh_config(5).
_DEFAULT = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"


class KeyFileError(Exception):
    """The key file that a node names can't be used."""


@contextlib.asynccontextmanager
async def offered(
    options: asyncssh.SSHClientConnectionOptions, named: str | None
) -> AsyncIterator[dict[str, Any]]:
    """The options of asyncssh that offer the keys; in this block the agent signs with its own.

    `named` is the node's own key file: it goes first, then the agent's other keys. Without it, the
    order is that of ssh: the agent's keys that a file stands for, its others, the files. With
    IdentitiesOnly the agent's others are left out. A file of ~/.ssh/config that is missing or not a
    key is passed over. Raises KeyFileError for `named`.
    """
    import asyncssh

    config: Any = options.config
    files = _named_file(named) if named is not None else _configured_files(config)
    agent_path = _agent_path(config.get("IdentityAgent", "SSH_AUTH_SOCK"))
    async with contextlib.AsyncExitStack() as stack:
        held: list[asyncssh.SSHKeyPair] = []
        if agent_path:
            agent = asyncssh.SSHAgentClient(agent_path)
            stack.callback(agent.close)
            with contextlib.suppress(ValueError):  # none answers there
                held = list(await agent.get_keys())
        stand_for = [part for file in files for part in _public_parts(file)]
        mine = [key for part in stand_for for key in held if key.public_data == part]
        known = {key.public_data for key in mine}
        others = [key for key in held if key.public_data not in known]
        if config.get("IdentitiesOnly"):
            others = []
        certificates = _readable(config.get("CertificateFile") or ())
        loaded = [key for file in files for key in _key_pairs(file, certificates)]
        left = [key for key in loaded if key.public_data not in known]
        if named is not None and not stand_for and not loaded and not _is_encrypted(files[0]):
            raise KeyFileError(f"{named} is not a private key that SSH can use")
        keys = [*mine, *left, *others] if named is not None else [*mine, *others, *left]
        chosen: dict[str, Any] = {"client_keys": keys or None, "agent_path": ""}
        if config.get("ForwardAgent") is True:
            chosen["agent_forwarding"] = agent_path
        yield chosen


def _named_file(named: str) -> list[str]:
    file = _expanded(named)
    try:
        with file.open("rb"):
            return [str(file)]
    except FileNotFoundError:
        raise KeyFileError(f"there is no key file {named}") from None
    except OSError as error:
        raise KeyFileError(f"the key file {named} can't be read: {strerror(error)}") from None


def _configured_files(config: Any) -> list[str]:
    return _readable(
        config.get("IdentityFile") or [str(home() / ".ssh" / name) for name in _DEFAULT]
    )


def _expanded(path: str) -> Path:
    with contextlib.suppress(RuntimeError):  # ~nobody
        return Path(path).expanduser()
    return Path(path)


def _readable(files: Iterable[str]) -> list[str]:
    """With `~` expanded. Of some only the public part is there: they stand for an agent's key."""
    expanded = [str(_expanded(file)) for file in files]
    return [file for file in expanded if _can_read(file) or _can_read(f"{file}.pub")]


def _can_read(file: str) -> bool:
    return Path(file).is_file() and os.access(file, os.R_OK)


def _agent_path(configured: str | None) -> str:
    """IdentityAgent of ssh_config(5), else the agent of this session; empty for none. asyncssh
    reads "none" as None."""
    if configured == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    return "" if configured is None else str(_expanded(os.path.expandvars(configured)))


def _key_pairs(file: str, certificates: list[str]) -> list[asyncssh.SSHKeyPair]:
    """What can be signed with by the file alone: nothing for a public key, or with a passphrase."""
    import asyncssh

    try:
        return list(asyncssh.load_keypairs(file, None, certificates, ignore_encrypted=True))
    except (OSError, ValueError, asyncssh.KeyEncryptionError, asyncssh.KeyImportError):
        return []


def _public_parts(file: str) -> Iterator[bytes]:
    """Of the key pair of a file, and its certificate. A private key of OpenSSH holds its public
    part in the clear, also under a passphrase."""
    import asyncssh

    with contextlib.suppress(OSError, ValueError):
        yield asyncssh.read_certificate(f"{file}-cert.pub").public_data
    for path in (f"{file}.pub", file):
        with contextlib.suppress(OSError, ValueError):
            yield asyncssh.read_public_key(path).public_data
            return
    with contextlib.suppress(OSError, ValueError):
        yield _public_part_of_private(Path(file).read_text(encoding="ascii"))
        return
    for key in _key_pairs(file, []):
        yield key.public_data


def _public_part_of_private(text: str) -> bytes:
    """By PROTOCOL.key of OpenSSH: the magic, three strings, a number of keys, their public parts.
    Raises ValueError for any other file."""
    inner = text.partition(_BEGIN)[2].partition(_END)[0]
    data = base64.b64decode("".join(inner.split()))
    if not data.startswith(_MAGIC):
        raise ValueError("not a private key of OpenSSH")
    place = len(_MAGIC)
    for _ in ("cipher", "kdf", "kdf options"):
        place += 4 + int.from_bytes(data[place : place + 4], "big")
    place += 4
    size = int.from_bytes(data[place : place + 4], "big")
    return data[place + 4 : place + 4 + size]


def _is_encrypted(file: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return "ENCRYPTED" in Path(file).read_text(encoding="ascii")
    return False
