"""Files that a request names: they are read as files, or not at all (items 4 and 5)."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from harness.attack.cases import case
from harness.attack.cases.strangers import Recorder
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds

_SECRET = "one-word-that-is-not-a-key-but-might-be-a-password"
_TIMES = 7


@case("key files", bounds=Bounds(peak_mb=96))
def key_files(scene: Scene) -> None:
    """A node is added whose key file is a device, a FIFO, a folder, or somebody's own file: its
    words must not leave this machine, and no advice may say to remove it."""
    folder = _folder(scene)
    with Recorder(scene.world.network.address(40), 9200) as recorder:
        for name, path in _odd_files(folder).items():
            node = {"node_name": "n1", "hive_url": recorder.url, "api_key_file": str(path)}
            answer = scene.send("queen", "POST", "/v2/registry/beehives/add", node)
            scene.refused(answer)
            said = answer.body.decode(errors="replace")
            scene.expect(_SECRET not in said, f"the content of {name} is in the answer")
            advised = f"emove {path}" in said or f"rm {path}" in said
            scene.expect(not advised, f"{name}: its removal is advised: {said}")
            scene.check_alive()
        heard = recorder.text
    scene.expect(_SECRET not in heard, "the content of a file was sent as a key")
    scene.expect("root:" not in heard, "the content of /etc/passwd was sent")


@case("models that are not files", bounds=Bounds(peak_mb=96))
def not_files(scene: Scene) -> None:
    """`file:` names devices, FIFOs, sockets and descriptors, more often than there are threads."""
    folder = _folder(scene)
    odd = [
        *_odd_files(folder).values(),
        Path("/proc/self/fd/0"),
        Path("/dev/stdin"),
        Path("/dev/tty"),
    ]
    for _ in range(_TIMES):
        for path in odd:
            body = {"model": f"file:{path}"}
            scene.refused(scene.send("hive", "POST", "/v1/models/info", body))
    for path in odd:
        body = {"model": f"file:{path}", "node": "localhost"}
        scene.refused(scene.send("queen", "POST", "/v2/models/info", body))
        for route in ("/v1/models/verify", "/v1/models/delete", "/v1/models/resolve"):
            scene.send("hive", "POST", route, {"model": f"file:{path}"})
    scene.check_alive()


@case("ending beside a FIFO", own=True)
def ending_beside_a_fifo(scene: Scene) -> None:
    """A hive that has been asked about FIFOs ends when it is told to, in its grace."""
    scene.boot()
    fifo = _folder(scene) / "fifo.gguf"
    os.mkfifo(fifo)
    for _ in range(_TIMES):
        scene.send("hive", "POST", "/v1/models/info", {"model": f"file:{fifo}"}, within=2)
    done = scene.run("rbee-keeper hive stop --node localhost", within=30)
    scene.forget("hive")
    scene.expect(done.exit_code == 0, f"hive stop: {done.exit_code} {done.stderr.text}")
    scene.expect(done.took < 12, f"hive stop took {done.took:.1f} s")


def _folder(scene: Scene) -> Path:
    folder = scene.world.root / "odd"
    folder.mkdir(exist_ok=True)
    return folder


def _odd_files(folder: Path) -> dict[str, Path]:
    """By what each is."""
    fifo, words, word, large = (folder / name for name in ("fifo", "words", "word", "large"))
    if not fifo.exists():
        os.mkfifo(fifo)
        words.write_text(f"root:x:0:0 {_SECRET} and more\n" * 3)
        word.write_text(f"{_SECRET}!\n")
        with large.open("wb") as file:
            file.truncate(2 << 30)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "socket"))
        listener.close()
    for path in (words, word, large):
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return {
        "/dev/zero": Path("/dev/zero"),
        "/dev/urandom": Path("/dev/urandom"),
        "/etc/passwd": Path("/etc/passwd"),
        "/proc/self/environ": Path("/proc/self/environ"),
        "/proc/self/mem": Path("/proc/self/mem"),
        "/proc/kmsg": Path("/proc/kmsg"),
        "a FIFO": fifo,
        "a socket": folder / "socket",
        "a folder": folder,
        "a file of several words": words,
        "a file of one word": word,
        "a file of 2 GB": large,
    }
