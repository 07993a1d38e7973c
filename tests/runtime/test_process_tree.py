"""What is killed with a process."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from rbee.runtime.process_tree import kill_tree, wait_until_gone

OURS, THEIRS = 65533, 65534
# Starts two below it, the first of them as another user, prints their pids, and becomes ours.
OF_TWO_USERS = f"""
import os, subprocess, time
for user in ({THEIRS}, {OURS}):
    below = subprocess.Popen(["sleep", "600"], start_new_session=True, user=user)
    print(below.pid, flush=True)
os.setuid({OURS})
print(flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes as another user")
def test_one_of_another_user_does_not_save_the_others() -> None:
    command = [sys.executable, "-c", OF_TWO_USERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as top:
        assert top.stdout is not None
        foreign, own = (psutil.Process(int(top.stdout.readline())) for _ in range(2))
        assert top.stdout.readline() == b"\n"
        killer = os.fork()
        if killer == 0:
            code = 1
            try:
                os.setuid(OURS)
                wait_until_gone(kill_tree(top.pid))
                code = 0
            finally:
                os._exit(code)
        try:
            assert os.waitpid(killer, 0)[1] == 0
            assert not own.is_running() or own.status() == psutil.STATUS_ZOMBIE
            assert foreign.is_running()
        finally:
            for each in (foreign, own, psutil.Process(top.pid)):
                each.kill()
