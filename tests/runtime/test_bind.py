"""Listening sockets: bound at once, or an error that says who holds the address."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import socket
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import psutil
import pytest

from rbee.contract.errors import AddressInUse, ConfigInvalid
from rbee.runtime import bind

# Of the block that is kept for documentation: no machine has it.
ELSEWHERE = "192.0.2.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 on which this process listens."""
    with bind.listening_socket("127.0.0.1", 0) as sock:
        yield int(sock.getsockname()[1])


def test_a_socket_listens_at_once(taken: int) -> None:
    with socket.create_connection(("127.0.0.1", taken), timeout=5) as connection:
        assert connection.getpeername()[1] == taken


def test_port_0_is_any_free_one_and_its_url_names_it() -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert port > 0
        assert bind.url("node-7", port) == f"http://node-7:{port}"


def test_an_ipv6_address_stands_in_brackets() -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        assert bind.url("::1", sock.getsockname()[1]) == f"http://[::1]:{sock.getsockname()[1]}"


def test_a_taken_port_names_the_address_and_its_holder(taken: int) -> None:
    with pytest.raises(AddressInUse) as caught:
        bind.listening_socket("127.0.0.1", taken)
    assert caught.value.details["address"] == f"127.0.0.1:{taken}"
    name = psutil.Process().name()
    assert caught.value.details["holder"] == f"{name} (pid {os.getpid()})"
    assert str(os.getpid()) in caught.value.advice


def test_a_taken_port_is_not_free_and_is_free_again_afterwards() -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert not bind.is_free("127.0.0.1", port)
    assert bind.is_free("127.0.0.1", port)


def test_an_address_of_another_machine_can_not_be_bound() -> None:
    with pytest.raises(AddressInUse) as caught:
        bind.listening_socket(ELSEWHERE, 0)
    assert caught.value.details["holder"] is None
    assert ELSEWHERE in caught.value.message


@pytest.mark.parametrize("host", ["no address", "127.0.0.1:80", "a" * 300, "1.2.3.4.5"])
def test_what_is_no_address_is_told_so(host: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        bind.listening_socket(host, 0)
    assert host in caught.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_local(host: str) -> None:
    assert bind.is_loopback(host)
    assert bind.is_local(host)


@pytest.mark.parametrize("host", [ELSEWHERE, "no address"])
def test_another_machines_address_is_not_local(host: str) -> None:
    assert not bind.is_loopback(host)
    assert not bind.is_local(host)


def test_any_address_is_local_and_no_loopback() -> None:
    assert bind.is_local("0.0.0.0")
    assert not bind.is_loopback("0.0.0.0")


def test_nobody_holds_a_port_that_is_free(taken: int) -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    assert bind.holder("127.0.0.1", port) is None


def test_who_only_talks_from_a_port_does_not_hold_it(taken: int) -> None:
    with socket.create_connection(("127.0.0.1", taken), timeout=5) as talking:
        assert bind.holder("127.0.0.1", talking.getsockname()[1]) is None


def test_a_port_can_be_bound_again_right_after_its_connections_were_closed() -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            served, _ = sock.accept()
            served.close()  # who closes first keeps the port in TIME_WAIT
    bind.listening_socket("127.0.0.1", port).close()


def as_nobody(work: Callable[[Connection], None]) -> Connection:
    """The other end of the pipe that `work` gets, in a process of another user."""
    forking = multiprocessing.get_context("fork")
    here, there = forking.Pipe()

    def run() -> None:
        os.closerange(3, there.fileno())
        os.closerange(there.fileno() + 1, 1024)
        os.setuid(pwd.getpwnam("nobody").pw_uid)
        work(there)

    forking.Process(target=run, daemon=True).start()
    return here


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@root
def test_a_program_of_another_user_is_named_with_that_user() -> None:
    def listen(pipe: Connection) -> None:
        with bind.listening_socket("127.0.0.1", 0) as sock:
            pipe.send((os.getpid(), sock.getsockname()[1]))
            pipe.recv()

    pipe = as_nobody(listen)
    pid, port = pipe.recv()
    assert str(bind.holder("127.0.0.1", port)).endswith(f" (pid {pid}) of the user nobody")
    assert bind.is_held_by(pid, "127.0.0.1", port)
    assert not bind.is_held_by(os.getpid(), "127.0.0.1", port)
    pipe.send("end")


@root
def test_where_the_system_hides_the_program_its_user_is_named(taken: int) -> None:
    """Linux tells the pid to the program's own user and to root."""
    pipe = as_nobody(lambda pipe: pipe.send(bind.holder("127.0.0.1", taken)))
    assert pipe.recv() == "a program of the user root"


def test_who_listens_on_another_machine_is_not_known(taken: int) -> None:
    assert bind.local_holder("127.0.0.1", taken) == bind.holder("127.0.0.1", taken)
    assert bind.local_holder(ELSEWHERE, taken) is None
