"""Listening sockets: bound before anything is announced, with an error that names who holds one."""

from __future__ import annotations

import errno
import ipaddress
import socket

from rbee.contract.errors import AddressInUse, ConfigInvalid

# How many connections may wait to be accepted.
BACKLOG = 1024


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


def url(host: str, port: int) -> str:
    """`http://host:port`, with the brackets that an IPv6 address needs."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ConfigInvalid(
            f"{host!r} is not the address of a network interface.",
            source="--host",
            key="host",
            hint="Name an address of this machine, such as 127.0.0.1.",
        ) from None
    family, _, _, _, sockaddr = found[0]
    return family, (str(sockaddr[0]), int(sockaddr[1]))


def holder(host: str, port: int) -> str | None:
    """The program that listens on `host`:`port`; None if the system does not tell."""
    import psutil

    try:
        ip = _resolve(host, port)[1][0]
        for connection in psutil.net_connections("tcp"):
            where = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not where or not connection.pid:
                continue
            if where.port == port and where.ip in (ip, "0.0.0.0", "::"):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, ConfigInvalid):
        return None
    return None
