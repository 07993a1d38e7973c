"""Listening sockets: bound before anything is announced, with an error that names who holds one."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from pathlib import Path

from rbee.contract.errors import AddressInUse, ConfigInvalid

# How many connections may wait to be accepted.
BACKLOG = 1024
# The state of a listening socket in /proc/net/tcp.
_LISTENS = "0A"


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound, listening TCP socket on `host`:`port`; port 0 means any free port.

    Raises CONFIG_INVALID for a host that is not an address, and ADDRESS_IN_USE for one that is
    taken or that this machine does not have.
    """
    address = f"{host}:{port}"
    family, sockaddr = _resolve(host, port)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(address=address, holder=holder(sockaddr[0], port)) from None
        raise AddressInUse(
            f"{address} can't be bound: {error.strerror}.", address=address, holder=None
        ) from None
    return sock


def is_free(host: str, port: int) -> bool:
    """Whether `port` can be bound right now."""
    try:
        listening_socket(host, port).close()
    except AddressInUse:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether `host` is an address of this machine: one that can be bound."""
    try:
        return is_loopback(host) or is_free(host, 0)
    except ConfigInvalid:
        return False


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url(host: str, port: int, tls: bool = False) -> str:
    """`http://host:port`, or with `tls` `https://…`, with the brackets that IPv6 needs."""
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def resolvable(host: str) -> str | bytes:
    """A host's name as the resolver takes it. To encode a text, Python loads the tables of
    internationalized names, for 2 ms; an ASCII name needs none."""
    return host.encode("ascii") if host.isascii() else host


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(
            resolvable(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, ValueError):
        raise ConfigInvalid(
            f"{host!r} is not the address of a network interface.",
            source="--host",
            key="host",
            hint="Name an address of this machine, such as 127.0.0.1.",
        ) from None
    family, _, _, _, sockaddr = found[0]
    return family, (str(sockaddr[0]), int(sockaddr[1]))


def holder(host: str, port: int) -> str | None:
    """The program that listens on `host`:`port`, with its user if that is another one; None if the
    system does not tell."""
    import psutil

    found = _listener(host, port)
    if found is None:
        return None
    try:
        return _program(found) if found else _program_of_another(port)
    except psutil.Error:
        return None


def is_held_by(pid: int, host: str, port: int) -> bool:
    """Whether it is this process that listens on `host`:`port`."""
    return _listener(host, port) == pid


def local_holder(host: str, port: int) -> str | None:
    """As `holder`; None if `host` is another machine."""
    return holder(host, port) if is_local(host) else None


def _listener(host: str, port: int) -> int | None:
    """The process that listens there; 0 if the system does not tell which, None if none does."""
    import psutil

    try:
        ip = _resolve(host, port)[1][0]
        for connection in psutil.net_connections("tcp"):
            where = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not where:
                continue
            if where.port == port and where.ip in (ip, "0.0.0.0", "::"):
                return connection.pid or 0
    except (psutil.Error, ConfigInvalid):
        return None
    return None


def _program(pid: int) -> str:
    import psutil

    process = psutil.Process(pid)
    named = f"{process.name()} (pid {pid})"
    uid = process.uids().effective
    return named if uid == os.geteuid() else f"{named} of the user {_user(uid)}"


def _program_of_another(port: int) -> str | None:
    """Linux tells the user of every socket, but its process only to that user."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), Path(table).open() as lines:
            for fields in map(str.split, lines):
                if fields[3] == _LISTENS and fields[1].endswith(f":{port:04X}"):
                    return f"a program of the user {_user(int(fields[7]))}"
    return None


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
