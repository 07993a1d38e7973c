"""The models folder, and the folders that we make (item 6)."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from harness.attack.cases import case
from harness.attack.scene import Scene
from harness.model_files.bundled import bundled_path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@case("links in the models folder")
def links(scene: Scene) -> None:
    """Links lead out of the folder: whatever is deleted, the files outside stay."""
    outside = scene.world.root / "outside"
    outside.mkdir(exist_ok=True)
    kept = outside / "kept.gguf"
    shutil.copy(bundled_path(), kept)
    models = scene.world.models
    folder = models / "hf" / "lab" / "linked"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.gguf").symlink_to(kept)
    (models / "hf" / "lab" / "folder").symlink_to(outside)
    (models / "linked.gguf").symlink_to(kept)
    (models / "loop").symlink_to(models)
    listed = scene.send("hive", "GET", "/v1/models")
    scene.expect(listed.status == 200, f"the models can't be listed: {listed.status} {listed.code}")
    for reference in (
        *("hf:lab/linked/file.gguf", "hf:lab/folder/kept.gguf", "hf:lab/linked", "hf:lab/folder"),
        *(f"file:{models}/linked.gguf", f"file:{folder}/file.gguf", f"file:{kept}"),
        *(f"file:{models}/../../../outside/kept.gguf", "hf:../../outside/kept.gguf", "hf:lab/.."),
    ):
        scene.send("hive", "POST", "/v1/models/delete", {"model": reference})
        scene.send("queen", "POST", "/v2/models/delete", {"model": reference, "node": "localhost"})
    scene.expect(kept.is_file(), "a file outside of the models folder was deleted")
    scene.expect(kept.stat().st_size == bundled_path().stat().st_size, "a file outside was changed")
    for link in (folder / "file.gguf", models / "hf" / "lab" / "folder", models / "linked.gguf"):
        link.unlink(missing_ok=True)
    (models / "loop").unlink()


@case("names of files")
def names_of_files(scene: Scene) -> None:
    """Models whose names drive terminals, forge lines, or are not UTF-8."""
    folder = scene.world.models
    folder.mkdir(parents=True, exist_ok=True)
    names = (
        b"\x1b[2J.gguf",
        b"a\nb.gguf",
        b"\xff\xfe.gguf",
        "\u202egpj.gguf".encode(),
        b"-rf.gguf",
    )
    paths = [Path(f"{folder}/{name.decode(errors='surrogateescape')}") for name in names]
    for path in paths:
        path.write_bytes(b"GGUF")
    try:
        for program, route in (("hive", "/v1/models"), ("queen", "/v2/models")):
            answer = scene.send(program, "GET", route)
            scene.expect(answer.status == 200, f"{answer.to}: {answer.status} {answer.code}")
        for line in ("models list", "models list --json", "models disk-usage"):
            done = scene.run(f"rbee-keeper {line}")
            scene.expect(done.exit_code == 0, f"{line}: {done.exit_code} {done.stderr.text}")
            shown = (done.stdout.text + done.stderr.text).encode()
            controls = set(shown) & {*range(9), *range(11, 32), 127}
            scene.expect(not controls, f"{line} prints {sorted(controls)}")
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@case("an open umask", own=True)
def open_umask(scene: Scene) -> None:
    """With a umask of 000 none of the folders and files that we make can be written by others."""
    world = scene.world
    run = world.start_in_shell("umask 000; rbee-keeper infer --prompt hi --max-tokens 2")
    code = run.wait(60)
    scene.expect(code == 0, f"infer: {code} {run.stderr.text}")
    for path in sorted(world.home.rglob("*")):
        made = path.lstat().st_mode
        if path != world.config and path not in world.config.parents and not stat.S_ISLNK(made):
            scene.expect(not made & _OTHERS_WRITE, f"{path} is {stat.filemode(made)}")
