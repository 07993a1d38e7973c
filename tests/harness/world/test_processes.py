"""What /proc says of a process that has just been forked."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.world import control_group
from harness.world.processes import MARK, WorldProcesses, command_line, is_exiting, listeners
from harness.world.waiting import wait_until


@contextlib.contextmanager
def _forked() -> Iterator[tuple[psutil.Process, int]]:
    """A child that has not exec'd yet, and the descriptor whose end makes it do so."""
    waits, goes_on = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(goes_on)
        os.read(waits, 1)
        os.execvp("sleep", ["sleep", "600"])
    os.close(waits)
    child = psutil.Process(pid)
    try:
        yield child, goes_on
    finally:
        child.kill()
        child.wait()


def test_a_child_has_no_command_line_of_its_own_before_it_has_execd() -> None:
    with _forked() as (child, goes_on):
        assert child.cmdline() == psutil.Process().cmdline()
        assert command_line(child) == []
        os.close(goes_on)
        while not (words := command_line(child)):
            assert child.is_running()
        assert words == ["sleep", "600"]
    assert command_line(child) == []


def test_a_socket_is_the_older_process_s() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, _forked() as (child, goes_on):
        address = server.getsockname()
        assert listeners([child])[address] == child
        assert listeners([child, psutil.Process()])[address] == psutil.Process()
        os.close(goes_on)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_a_socket_of_ipv6_that_stands_for_ipv4_is_one_of_ipv4() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::ffff:127.0.0.1", 0))
        server.listen()
        address = "127.0.0.1", server.getsockname()[1]
        assert listeners([psutil.Process()])[address] == psutil.Process()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert server.getsockname()[:2] in listeners([psutil.Process()])


_WITHOUT_ITS_FIRST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def _is_zombie(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_zombie_with_threads_belongs_to_its_world(grouped: bool) -> None:
    world = f"a-world-{os.getpid()}-{grouped}"  # other tests run beside this one
    group = control_group.enter(f"rbee-test-{os.getpid()}") if grouped else None
    if grouped and group is None:
        pytest.skip("control groups can't be made")
    environment = {**os.environ, MARK: world}
    child = subprocess.Popen([sys.executable, "-c", _WITHOUT_ITS_FIRST_THREAD], env=environment)
    process = psutil.Process(child.pid)
    try:
        wait_until("its first thread to end", lambda: _is_zombie(process), 20)
        assert WorldProcesses(world, group).all() == [process]
        assert WorldProcesses(f"{world}-not", None).all() == []
    finally:
        child.kill()
        child.wait()
        if group:
            group.leave()
    assert WorldProcesses(world, None).all() == []


def test_one_that_the_kernel_takes_apart_is_exiting_and_one_that_runs_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = psutil.Process(child.pid)
        assert not is_exiting(process)
        child.kill()
        wait_until("its end", lambda: process.status(), 5, lambda now: now == psutil.STATUS_ZOMBIE)
        assert is_exiting(process)
    assert not is_exiting(process)
