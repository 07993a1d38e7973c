"""What the doctor says in each case, word by word, with what to type."""

# ruff: noqa: E501  (a line of the doctor's is one line here)

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rbee.contract.nodes import Detected, DeviceMemory
from rbee.contract.registry import NodeCheck
from rbee.keeper.doctor import check_daemons as daemons
from rbee.keeper.doctor import check_files as files
from rbee.keeper.doctor import check_programs as programs
from rbee.keeper.doctor.check_daemons import Daemon, Port
from rbee.keeper.doctor.check_files import (
    CertificateFile,
    ConfigFile,
    Database,
    Folder,
    KeyFile,
    ModelsFolder,
)
from rbee.keeper.doctor.check_programs import Memory, Program, Units
from rbee.keeper.doctor.findings import Finding, Report

MB, GB = 1_000_000, 1_000_000_000
URL = "http://h:1"
MODELS = Folder(path="/m", exists=True, mode=0o700)
THEIRS = Folder(path="/m m", exists=True, mode=0o700, mine=False, obstacle="no")
NAMES = ("rbee-keeper", "queen-rbee", "rbee-hive", "llm-worker-rbee")
ALL = [Program(name=name, command=f"/{name}", version="0.1.0", on_path=name) for name in NAMES]


def detected(**more: Any) -> Detected:
    hardware = [DeviceMemory("cuda", 0, "RTX", 1, 1), DeviceMemory("cpu", 0, "RAM", 1, 1)]
    backends = ["vulkan", "cpu"]
    return Detected(version="1", hardware=hardware, backends=backends, devices={}, **more)


def findings() -> list[Finding]:
    return [
        daemons.queen(Daemon(url=URL, state="untrusted", mismatch="not for h", advice="a name")),
        daemons.queen(Daemon(url=URL, state="runs", version="1", pid=7, exposed=True)),
        files.certificate(CertificateFile(path="/c", key="/k k", mode=0o600, days=15)),
        files.certificate(CertificateFile(path="/c", key="/k k", mode=0o600, days=14)),
        files.certificate(CertificateFile(path="/c", key="/k k", mode=0o640, days=99)),
        files.certificate(CertificateFile(path="/c", key="/k k", error="no", advice="do")),
        daemons.queen(Daemon(url=URL, state="free")),
        daemons.queen(Daemon(url=URL, state="held", holder="nginx")),
        daemons.queen(Daemon(url=URL, state="held")),
        daemons.queen(Daemon(url=URL, state="remote")),
        daemons.queen(Daemon(url=URL, state="unresponsive", pid=7)),
        daemons.queen(Daemon(url=URL, state="runs", pid=7, mismatch="it is old", advice="pip")),
        daemons.queen(Daemon(url=URL, state="runs", pid=7, refuses_key=True)),
        daemons.queen(Daemon(url=URL, state="runs", pid=7, version="0.1.0")),
        daemons.hive(Daemon(url=URL, state="free")),
        daemons.hive(Daemon(url=URL, state="remote")),
        daemons.hive(Daemon(url=URL, state="held", holder="nginx")),
        daemons.hive(Daemon(url=URL, state="held")),
        daemons.hive(Daemon(url=URL, state="unresponsive", pid=7)),
        daemons.hive(Daemon(url=URL, state="runs", pid=7, refuses_key=True)),
        daemons.hive(Daemon(url=URL, state="runs", refuses_key=True)),
        daemons.hive(Daemon(url=URL, state="runs", pid=7, mismatch="it is old", advice="pip")),
        daemons.hive(Daemon(url=URL, state="runs", pid=7, version="0.1.0")),
        daemons.hive(Daemon(url=URL, state="runs", version="0.1.0")),
        daemons.workers(Port("h:8001", False, remote=True)),
        daemons.workers(Port("h:8001", True)),
        daemons.workers(Port("h:8001", False, "w", ours=True)),
        daemons.workers(Port("h:8001", False, "nginx")),
        daemons.workers(Port("h:8001", False)),
        daemons.pid_files([]),
        daemons.pid_files(["/a b", "/c"]),
        daemons.nodes([])[0],
        daemons.nodes([NodeCheck(node="n", hive="running", version="0.1.0")])[0],
        daemons.nodes([NodeCheck(node="n", hive="stopped", version="0.1.0")])[0],
        daemons.nodes([NodeCheck(node="my n", hive="unreachable", error="refused")])[0],
        daemons.nodes([NodeCheck(node="n", hive="unreachable", error="refused", advice="ssh n")])[
            0
        ],
        daemons.nodes([NodeCheck(node="n", hive="running", clock_ahead_s=5)])[1],
        daemons.nodes([NodeCheck(node="n", hive="running", clock_ahead_s=-299)])[1],
        daemons.nodes([NodeCheck(node="n", hive="running", clock_ahead_s=300)])[1],
        files.config(ConfigFile(counts="/c", error="bad", advice="fix")),
        files.config(ConfigFile(counts=None)),
        files.config(ConfigFile(counts="/c", mode=0o620)),
        files.config(ConfigFile(counts="/c", mode=0o602)),
        files.config(ConfigFile(counts="/c", mode=0o755, shadowed=["/d", "/e"])),
        files.config(ConfigFile(counts="/c", mode=0o644)),
        files.state(Folder(path="/s s", exists=True, mode=0o700, obstacle="full")),
        files.state(Folder(path="/s s", exists=True, mode=0o500, obstacle="no")),
        files.state(Folder(path="/s s", exists=True, mode=0o600, obstacle="no")),
        files.state(Folder(path="/s s", exists=True, mine=False, obstacle="no")),
        files.state(Folder(path="/s s", exists=False, obstacle="no")),
        files.state(Folder(path="/s", exists=False)),
        files.state(Folder(path="/s", exists=True, mode=0o701)),
        files.state(Folder(path="/s", exists=True, mode=0o700, loose=["/s/a", "/s/b c"])),
        files.state(Folder(path="/s", exists=True, mode=0o700)),
        files.key(KeyFile(path="/k", named=False, exists=False)),
        files.key(KeyFile(path="/k", named=True, exists=False, error="gone", advice="find it")),
        files.key(KeyFile(path="/k", named=False, exists=True, error="empty")),
        files.key(KeyFile(path="/k k", named=False, exists=True, mode=0o604)),
        files.key(KeyFile(path="/k", named=False, exists=True, mode=0o600)),
        files.key(KeyFile(path="/k", named=True, exists=True, mode=0o600, lengthen="do")),
        files.database(Database(name="catalog", path="/d", exists=False)),
        files.database(Database(name="catalog", path="/d", exists=True)),
        files.database(Database(name="catalog", path="/d", exists=True, damage="noise")),
        files.database(Database(name="registry", path="/d", exists=True, damage="noise")),
        files.models(ModelsFolder(folder=MODELS, free_bytes=GB // 2 - 1))[0],
        files.models(ModelsFolder(folder=MODELS, free_bytes=GB // 2))[0],
        files.models(ModelsFolder(folder=MODELS, free_bytes=2 * GB - 1))[0],
        files.models(ModelsFolder(folder=MODELS, free_bytes=2 * GB))[0],
        files.models(ModelsFolder(folder=Folder(path="/m", exists=False), free_bytes=9 * GB))[0],
        files.models(ModelsFolder(folder=THEIRS, free_bytes=0))[0],
        files.models(ModelsFolder(folder=replace(THEIRS, group="lab"), free_bytes=0))[0],
        files.models(ModelsFolder(folder=replace(THEIRS, mine=True), free_bytes=0))[0],
        files.models(ModelsFolder(folder=replace(THEIRS, exists=False), free_bytes=0))[0],
        files.models(ModelsFolder(folder=MODELS, free_bytes=GB, partial={"a": MB, "b": 2 * MB}))[1],
        programs.programs(ALL, "0.1.0"),
        programs.programs([replace(each, version=None, error="gone") for each in ALL], "0.1.0"),
        programs.programs([replace(ALL[0], version="0.2.0"), *ALL[1:]], "0.1.0"),
        programs.programs([replace(ALL[0], version="2"), replace(ALL[1], error="gone")], "0.1.0"),
        programs.programs([replace(ALL[0], on_path=None), replace(ALL[1], on_path=None)], "0.1.0"),
        programs.programs([replace(each, path_version="2") for each in ALL[:2]], "0.1.0"),
        programs.backends(detected(notes=["driver old", "llama.cpp can't be asked: gone"])),
        programs.backends(detected(advice=["CMAKE_ARGS=…"])),
        programs.backends(detected(notes=["one", "two"])),
        programs.backends(detected()),
        programs.memory(
            Memory(model="m", needed=1, free=1, total=1, largest=1, error="no", advice="do")
        ),
        programs.memory(
            Memory(model="m", needed=None, free=8 * GB, total=16 * GB, largest=16 * GB)
        ),
        programs.memory(
            Memory(model="m", needed=12 * GB, free=8 * GB, total=9 * GB, largest=9 * GB)
        ),
        programs.memory(
            Memory(model="m", needed=12 * GB, free=8 * GB, total=12 * GB, largest=12 * GB)
        ),
        programs.memory(
            Memory(model="m", needed=12 * GB, free=12 * GB, total=12 * GB, largest=12 * GB)
        ),
        programs.memory(
            Memory(model="m", needed=12 * GB, free=8 * GB, total=9 * GB, largest=12 * GB)
        ),
        programs.terminal("UTF-8-SIG"),
        programs.terminal("latin-1"),
        programs.units([Units(["a", "b"], ["c"], "install")])[0],
        programs.units([Units([], ["a", "b"], "install")])[0],
    ]


WORDS = """\
✗ queen: not for h
  → a name
! queen: 1 runs at http://h:1; keys and prompts that go there are not encrypted
  → on its machine: rbee-keeper auth certificate --use
✓ certificate: /c is valid for 15 more days
! certificate: /c expires in 14 days
  → rbee-keeper auth certificate
✗ certificate: others may read /k k, and so pass for this queen
  → chmod 600 '/k k'
✗ certificate: no
  → do
✓ queen: none runs; a command that needs one starts it at http://h:1
✗ queen: http://h:1 is held by nginx, which is not queen-rbee
  → end it, or set another [queen] port in the config file
✗ queen: http://h:1 is held by another program, which is not queen-rbee
  → end it, or set another [queen] port in the config file
✗ queen: nothing answers at http://h:1, which is not this machine
  → start it there: rbee-keeper daemon start
✗ queen: it runs (pid 7), but does not answer
  → rbee-keeper daemon stop
✗ queen: it is old
  → rbee-keeper daemon stop
  → pip
✗ queen: it runs at http://h:1 (pid 7), but does not accept this machine's key
  → kill 7  # ends it in order; the next one has this key
✓ queen: 0.1.0 runs at http://h:1, pid 7
✓ hive: none runs on this machine; the queen starts one at http://h:1
✗ hive: none can listen at http://h:1, which is not an address of this machine
  → set [hive] host to one of this machine's: 127.0.0.1
! hive: http://h:1 is held by nginx: a hive takes a free port
  → end it, or set another [hive] port in the config file
! hive: http://h:1 is held by another program: a hive takes a free port
  → end it, or set another [hive] port in the config file
✗ hive: it runs (pid 7), but does not answer
  → kill -KILL 7  # its workers end with it
✗ hive: the one at http://h:1 (pid 7) does not accept this machine's key: is it another queen's?
  → if nobody needs it: kill 7; otherwise set another [hive] port
✗ hive: the one at http://h:1 (pid unknown) does not accept this machine's key: is it another queen's?
  → if nobody needs it: end it; otherwise set another [hive] port
✗ hive: it is old
  → rbee-keeper hive stop --node localhost
  → pip
✓ hive: 0.1.0 runs at http://h:1, pid 7
✓ hive: 0.1.0 runs at http://h:1, pid unknown
✗ worker ports: no worker can listen at h:8001, which is not an address of this machine
  → set [hive] worker_host to one of this machine's: 127.0.0.1
✓ worker ports: free from h:8001 up
✓ worker ports: h:8001 and up; a worker runs
! worker ports: h:8001 is held by nginx: workers take the next ones
  → end that program, if you know it
! worker ports: h:8001 is held by another program: workers take the next ones
  → end that program, if you know it
✓ pid files: each names a running process
! pid files: left by a daemon that was killed: /a b, /c
  → rm '/a b' /c
✓ nodes: only this machine is known
✓ node n: it can be reached; rbee 0.1.0, its hive runs
✓ node n: it can be reached; rbee 0.1.0, its hive is stopped
✗ node my n: refused
  → rbee-keeper hive status --node 'my n'
✗ node n: refused
  → ssh n
! clock of n: 5 s ahead of the queen's
  → on n: sudo timedatectl set-ntp true
! clock of n: 299 s behind the queen's
  → on n: sudo timedatectl set-ntp true
✗ clock of n: 300 s ahead of the queen's
  → on n: sudo timedatectl set-ntp true
✗ config: bad
  → fix
✓ config: no config file; every setting has its default
! config: others may write /c, and so choose what rbee starts
  → chmod go-w /c
! config: others may write /c, and so choose what rbee starts
  → chmod go-w /c
✓ config: /c is read; it hides /d and /e
✓ config: /c is read
✗ state folder: /s s can't be written: full
  → check its owner and its disk: ls -ld '/s s'; df '/s s'
✗ state folder: /s s can't be written: no
  → chmod u+rwx '/s s'
✗ state folder: /s s can't be written: no
  → chmod u+rwx '/s s'
✗ state folder: /s s can't be written: no
  → sudo chown -R "$USER" '/s s'
✗ state folder: /s s can't be written: no
  → check its owner and its disk: ls -ld '/s s'; df '/s s'
✓ state folder: /s does not exist yet; the first start creates it
✗ state folder: /s is open to others
  → chmod 700 /s
✗ state folder: others may write /s/a, /s/b c
  → chmod go-w /s/a '/s/b c'
✓ state folder: /s is private and can be written
✓ API key: /k does not exist yet; the first start creates it
✗ API key: gone
  → find it
✗ API key: empty
✗ API key: others may read /k k, and so use every daemon
  → chmod 600 '/k k'
✓ API key: /k is private
! API key: the key in /k is short enough to be guessed
  → do  # then restart the daemons that use it
✓ catalog: /d does not exist yet
✓ catalog: /d is intact
✗ catalog: /d is damaged: noise
  → rbee-keeper models list  # sets it aside and reads the models folder again
✗ registry: /d is damaged: noise
  → rbee-keeper setup list-nodes  # sets it aside; then add the nodes again
✗ models folder: only 0.5 GB free at /m
  → rbee-keeper models disk-usage; rbee-keeper models delete MODEL
! models folder: only 0.5 GB free at /m
  → rbee-keeper models disk-usage
! models folder: only 2.0 GB free at /m
  → rbee-keeper models disk-usage
✓ models folder: 2.0 GB free at /m
✓ models folder: 9.0 GB free at /m, which the first download creates
✗ models folder: /m m can't be written: no
  → sudo groupadd --system --force rbee && sudo chgrp -R rbee '/m m' && sudo find '/m m' -type d -exec chmod g+rwxs {} + && sudo usermod --append --groups rbee "$USER"  # takes effect at your next login
  → or name another one: [models] dir
✗ models folder: /m m can't be written: no
  → sudo usermod --append --groups lab "$USER"  # takes effect at your next login
  → or name another one: [models] dir
✗ models folder: /m m can't be written: no
  → check its owner and its disk: ls -ld '/m m'; df '/m m'
  → or name another one: [models] dir
✗ models folder: /m m can't be written: no
  → check its owner and its disk: ls -ld '/m m'; df '/m m'
  → or name another one: [models] dir
! downloads: a, b: not complete yet, 3 MB
  → rbee-keeper models list; models download resumes one, models delete removes it
✓ programs: all four are installed, version 0.1.0
✗ programs: rbee-keeper: /rbee-keeper: gone; queen-rbee: /queen-rbee: gone; rbee-hive: /rbee-hive: gone; llm-worker-rbee: /llm-worker-rbee: gone
  → correct [keeper] command and [queen] command and [hive] command and [worker] command in the config file, or: pip install rbee
✗ programs: rbee-keeper is 0.2.0, but rbee-keeper is 0.1.0
  → pip install 'rbee==0.1.0'
✗ programs: queen-rbee: /queen-rbee: gone; rbee-keeper is 2, but rbee-keeper is 0.1.0
  → correct [queen] command in the config file, or: pip install rbee
  → pip install 'rbee==0.1.0'
! programs: PATH does not have rbee-keeper, queen-rbee
  → rbee-keeper install
! programs: PATH has other versions: rbee-keeper is 2, queen-rbee is 2
  → rbee-keeper install
✗ backends: llama.cpp can't be asked: gone
  → llm-worker-rbee detect
! backends: llama.cpp computes on vulkan, cpu, and not on everything that is here: RTX
  → CMAKE_ARGS=…
! backends: vulkan, cpu; one; two
  → rbee-hive detect
✓ backends: llama.cpp computes on vulkan, cpu
✗ memory: no
  → do
✓ memory: 8.0 of 16.0 GB are free; m is not downloaded yet
✗ memory: m needs 12.0 GB, which is more than this machine has: 8.0 of 9.0 GB are free
  → set [models] default to a smaller model: rbee-keeper models info MODEL
! memory: m needs 12.0 GB; 8.0 of 12.0 GB are free
  → end other programs, or set [models] default to a smaller model: rbee-keeper models info MODEL
✓ memory: 12.0 of 12.0 GB are free; m needs 12.0 GB
✓ memory: 8.0 of 9.0 GB are free; m needs 12.0 GB
✓ terminal: it shows every character (UTF-8)
! terminal: it is set to latin-1: many characters come out wrong
  → export LANG=C.UTF-8
! systemd: a, b: written by another installation, or with other settings
  → install
✓ systemd: a, b fit this installation
42 problems, 22 warnings"""


def test_each_finding_in_its_words() -> None:
    assert Report.of(findings()).text().splitlines() == WORDS.splitlines()
