"""Log in to an SSH server as the person's own ssh would: by ~/.ssh/config, keys, the agent, jump
hosts and known host keys."""

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
from rbee.queen.ssh.identities import KeyFileError, offered
from rbee.runtime.error_text import is_refused, strerror
from rbee.runtime.paths import home

if TYPE_CHECKING:
    import asyncssh

REFUSED = "refused"
# A connection on which nothing comes for about ten seconds is dead.
KEEPALIVE_S = 2.0
_KEEPALIVES = 4


class NoAnswerError(Exception):
    """No SSH server answers there. Unlike with a refused key, another attempt may help. `refused`:
    the machine is there, and nothing listens."""

    def __init__(self, host: str, port: int, reason: str, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.host, self.port, self.reason, self.timed_out = host, port, reason, timed_out
        self.refused = reason == REFUSED
        # For the advice of SSH_CONNECTION_FAILED.
        self.details: dict[str, Any] = {}

    def as_rbee_error(self) -> SshConnectionFailed:
        """The same as an error for a person."""
        return SshConnectionFailed(
            host=self.host, port=self.port, reason=self.reason, **self.details
        )


def options_of(
    keepalive_s: float = KEEPALIVE_S, **given: Any
) -> asyncssh.SSHClientConnectionOptions:
    """The options that the person's ssh would use. Raises ValueError for a configuration that can't
    be read."""
    import asyncssh

    files = [home() / ".ssh" / "config", Path("/etc/ssh/ssh_config")]
    return asyncssh.SSHClientConnectionOptions(
        config=[str(file) for file in files if os.access(file, os.R_OK)],
        # `log_in` chooses them.
        client_keys=None,
        keepalive_interval=keepalive_s,
        keepalive_count_max=_KEEPALIVES,
        **{name: value for name, value in given.items() if value is not None},
    )


async def connect_through_jump_hosts(
    options: asyncssh.SSHClientConnectionOptions, accept: str | None
) -> asyncssh.SSHClientConnection | None:
    """The connection to the last of ProxyJump's hosts, through those before it; None if there are
    none. A jump host may have a ProxyJump of its own."""
    hop: asyncssh.SSHClientConnection | None = None
    try:
        for jump in jumps(options):
            near = options_of(**jump)
            if (near.host, near.port) == (options.host, options.port):
                continue  # `Host *` names it also for itself
            hop = await log_in(near, accept, hop or await connect_through_jump_hosts(near, accept))
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


async def log_in(
    options: asyncssh.SSHClientConnectionOptions,
    accept: str | None,
    hop: asyncssh.SSHClientConnection | None,
    key_file: str | None = None,
) -> asyncssh.SSHClientConnection:
    """A connection that is logged in. `accept` is the fingerprint of a host key to trust,
    `key_file` the key to offer first. Raises NoAnswerError and SSH_CONNECTION_FAILED."""
    import asyncssh

    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    host, port = options.host, options.port
    configured = options.known_hosts
    files = configured if isinstance(configured, list) else []
    keys = HostKeys(files or ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"], accept)

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            return keys.judge(host, addr, port, key)

    try:
        async with offered(options, key_file) as identities:
            connection = await asyncssh.connect(
                host,
                port,
                # Here and not among the options, where ProxyJump would take precedence: asyncssh
                # would connect to the jump hosts itself, by host keys that are not ours.
                tunnel=hop,
                options=asyncssh.SSHClientConnectionOptions(
                    options, known_hosts=keys.known, client_factory=Client, **identities
                ),
            )
        # The jump hosts are left together with the node.
        connection.set_tunnel(hop)
        return connection
    except asyncssh.HostKeyNotVerifiable as error:
        raise _untrusted(host, port, keys.stranger, error) from None
    except asyncssh.PermissionDenied as error:
        reason = f"the key was rejected ({error.reason.rstrip('.')})"
        agent = {} if os.environ.get("SSH_AUTH_SOCK") else {"agent": False}
        raise SshConnectionFailed(host=host, port=port, reason=reason, **agent) from None
    except KeyFileError as error:
        hint = "Name another file with --ssh-key, or leave it out to use the keys that ssh uses."
        raise SshConnectionFailed(host=host, port=port, reason=str(error), hint=hint) from None
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
    """Why there is no connection, for a person."""
    if isinstance(error, OSError) and is_refused(error):
        return REFUSED
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known here"
    if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
        return "the connection was reset"
    reason = strerror(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    return reason.rstrip(".")
