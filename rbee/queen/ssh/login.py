"""Dialling an SSH server as the person's own ssh would: ~/.ssh/config, keys, agent, jump hosts, and
the host keys that are known."""

from __future__ import annotations

import errno
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rbee.contract.errors import SshConnectionFailed
from rbee.queen.ssh.host_keys import HostKeys, Stranger
from rbee.runtime.error_text import strerror
from rbee.runtime.paths import home

if TYPE_CHECKING:
    import asyncssh

# A link that says nothing for about ten seconds is dead.
_KEEPALIVE_S, _KEEPALIVES = 2, 4


class NoAnswerError(Exception):
    """No SSH server answers there: trying again may help, other than with a refused key."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(reason)
        self.host, self.port, self.reason = host, port, reason

    def told(self) -> SshConnectionFailed:
        """The same as an error for a person."""
        return SshConnectionFailed(host=self.host, port=self.port, reason=self.reason)


def options_of(**given: Any) -> asyncssh.SSHClientConnectionOptions:
    """As the person's ssh would have them; raises ValueError for a config that can't be read."""
    import asyncssh

    files = [home() / ".ssh" / "config", Path("/etc/ssh/ssh_config")]
    return asyncssh.SSHClientConnectionOptions(
        config=[str(file) for file in files if os.access(file, os.R_OK)],
        # A key with a passphrase is the agent's to use.
        ignore_encrypted=True,
        keepalive_interval=_KEEPALIVE_S,
        keepalive_count_max=_KEEPALIVES,
        **{name: value for name, value in given.items() if value is not None},
    )


async def way(
    options: asyncssh.SSHClientConnectionOptions, accept: str | None
) -> asyncssh.SSHClientConnection | None:
    """The connection to the last of ProxyJump's hosts, through those before it; None where there
    are none. A jump host may have a ProxyJump of its own."""
    hop: asyncssh.SSHClientConnection | None = None
    try:
        for jump in jumps(options):
            near = options_of(**jump)
            if (near.host, near.port) == (options.host, options.port):
                continue  # `Host *` names it also for itself
            hop = await dial(near, accept, hop or await way(near, accept))
    except BaseException:  # also a time limit, which cancels
        if hop is not None:
            hop.abort()
        raise
    return hop


def jumps(options: asyncssh.SSHClientConnectionOptions) -> list[dict[str, Any]]:
    """The hosts of ProxyJump, in order."""
    found = []
    for word in options.tunnel.split(",") if isinstance(options.tunnel, str) else ():
        parts = urlsplit(word if word.startswith("ssh://") else f"ssh://{word}")
        found.append({"host": parts.hostname, "username": parts.username, "port": parts.port})
    return found


async def dial(
    options: asyncssh.SSHClientConnectionOptions,
    accept: str | None,
    hop: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    import asyncssh

    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    host, port = options.host, options.port
    theirs = options.known_hosts
    files = theirs if isinstance(theirs, list) else []
    keys = HostKeys(files or ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"], accept)

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            return keys.judge(host, addr, port, key)

    try:
        connection = await asyncssh.connect(
            host,
            port,
            # Here and not among the options, where ProxyJump would go before it: asyncssh would
            # find its own way, by host keys that are none of ours.
            tunnel=hop,
            options=asyncssh.SSHClientConnectionOptions(
                options, known_hosts=keys.known, client_factory=Client
            ),
        )
        # The way there ends with what it leads to.
        connection.set_tunnel(hop)
        return connection
    except asyncssh.HostKeyNotVerifiable as error:
        raise _untrusted(host, port, keys.stranger, error) from None
    except asyncssh.PermissionDenied as error:
        reason = f"the key was rejected ({error.reason.rstrip('.')})"
        agent = {} if os.environ.get("SSH_AUTH_SOCK") else {"agent": False}
        raise SshConnectionFailed(host=host, port=port, reason=reason, **agent) from None
    except (OSError, asyncssh.ConnectionLost, asyncssh.ChannelOpenError) as error:
        raise NoAnswerError(host, port, reason_of(error)) from None


def _untrusted(
    host: str, port: int, stranger: Stranger | None, error: asyncssh.HostKeyNotVerifiable
) -> SshConnectionFailed:
    if stranger is None:
        return SshConnectionFailed(host=host, port=port, reason=str(error).rstrip("."))
    if stranger.changed:
        reason = (
            f"the host key has changed, it is {stranger.fingerprint} now: either the machine was "
            "set up anew, or somebody stands between"
        )
        return SshConnectionFailed(host=host, port=port, reason=reason, changed=True)
    return SshConnectionFailed(
        host=host,
        port=port,
        reason=f"the host key {stranger.fingerprint} is not known",
        fingerprint=stranger.fingerprint,
        key_type=stranger.key_type,
    )


def reason_of(error: Exception) -> str:
    """Why there is no connection, in a person's words."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known here"
    if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
        return "the connection was reset"
    told = strerror(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    return told.rstrip(".")
