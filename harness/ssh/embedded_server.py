"""A node's SSH server inside the harness: asyncssh in a thread of its own, and its faults.

    server = EmbeddedServer("127.1.2.21", account, authorized)
    server.mute()          # accepts connections and says nothing
    server.open()          # serves again
    server.close()

It needs no system package, and `log` has what it sees. OpenSSH's own server has the same interface
in openssh.py.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import asyncssh

from harness.ssh.connection_log import Authentication, Connection, Forwarding, SshLog
from harness.ssh.session import Account, Session
from harness.world.network import BlackHolePort, enter_namespace

T = TypeVar("T")

_PROMPTLY_S = 10


class Closeable(Protocol):
    def close(self) -> None: ...


class SshServer(Protocol):
    """What every SSH server of a node can do."""

    port: int
    host_key: asyncssh.SSHKey

    @property
    def log(self) -> SshLog: ...
    @property
    def fingerprint(self) -> str: ...
    def open(self) -> None: ...
    def refuse(self) -> None: ...
    def drop_connections(self) -> None: ...
    def close(self) -> None: ...


def new_host_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


class EmbeddedServer:
    """Serves from its creation on.

    `authorized` are the fingerprints of the keys that it accepts. `namespace` is the network
    namespace in which it listens and its sessions run; None is the harness's own.
    """

    def __init__(
        self,
        address: str,
        port: int,
        account: Account,
        authorized: set[str],
        namespace: str | None = None,
    ) -> None:
        asyncssh.set_log_level(logging.WARNING)
        self.address = address
        self.port = port
        self.log = SshLog()
        self.host_key = new_host_key()
        self.authorized = authorized
        self.account = account
        self.owners: list[_Server] = []
        self._listening: Closeable | None = None
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"sshd {address}", daemon=True)
        self._thread.start()
        self.open()

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    # How it answers

    def open(self) -> None:
        """Serve normally."""
        self._replace(self._serve)

    def mute(self) -> None:
        """Accept connections and say nothing."""
        self._replace(self._be_mute)

    def swallow(self) -> None:
        """Don't even refuse connections."""
        self._replace(self._swallow)

    def refuse(self) -> None:
        """Stop listening."""
        self._replace(None)

    def reject_keys(self) -> None:
        """From now on reject every key."""
        self.authorized.clear()

    def change_host_key(self) -> None:
        self.host_key = new_host_key()
        self.open()

    def drop_connections(self) -> None:
        """Drop all connections at once, as when a router restarts; later ones are served."""
        self._call(self._drop())

    def close(self) -> None:
        self.refuse()
        self.drop_connections()
        self._call(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PROMPTLY_S)
        assert not self._thread.is_alive(), "the SSH server's thread hangs"

    # In its thread

    def _run(self) -> None:
        enter_namespace(self._namespace)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PROMPTLY_S)

    def _replace(self, listen: Callable[[], Coroutine[Any, Any, Closeable]] | None) -> None:
        async def replace() -> None:
            if self._listening:
                self._listening.close()
                self._listening = None
                await asyncio.sleep(0)
            self._listening = await listen() if listen else None

        self._call(replace())

    async def _serve(self) -> Closeable:
        return await asyncssh.create_server(
            lambda: _Server(self),
            self.address,
            self.port,
            server_host_keys=[self.host_key],
            encoding=None,
            login_timeout=_PROMPTLY_S,
        )

    async def _be_mute(self) -> Closeable:
        return await self._loop.create_server(
            lambda: _MuteProtocol(self.log), self.address, self.port
        )

    async def _swallow(self) -> Closeable:
        return BlackHolePort(self.address, self.port)

    async def _drop(self) -> None:
        for owner in list(self.owners):
            owner.connection.abort()
        await asyncio.sleep(0)


async def _cancel_the_rest() -> None:
    """Sessions whose processes outlived the connection are not waited for."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class _Server(asyncssh.SSHServer):
    """One connection."""

    connection: asyncssh.SSHServerConnection
    _seen: Connection

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        self._seen = Connection(str(conn.get_extra_info("peername")[0]))
        self._server.log.connections.append(self._seen)
        self._server.owners.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.closed_at = self._server._loop.time()
        self._server.owners.remove(self)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        fingerprint = key.get_fingerprint()
        accepted = fingerprint in self._server.authorized
        now = self._server._loop.time()
        tried = Authentication(now, username, fingerprint, accepted)
        self._server.log.authentications.append(tried)
        return accepted

    def session_requested(self) -> Session:
        return Session(self._server.account, self._server.log)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        now = self._server._loop.time()
        self._server.log.forwardings.append(Forwarding(now, dest_host, dest_port))
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        now = self._server._loop.time()
        self._server.log.ways_back.append(Forwarding(now, listen_host, listen_port))
        return True


class _MuteProtocol(asyncio.Protocol):
    """Records who connected and when they gave up."""

    _seen: Connection

    def __init__(self, log: SshLog) -> None:
        self._log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._seen = Connection(str(transport.get_extra_info("peername")[0]))
        self._log.connections.append(self._seen)

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.closed_at = asyncio.get_running_loop().time()
