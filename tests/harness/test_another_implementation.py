"""The features judge any four programs, and need none of rbee's code for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import psutil
import pytest

from harness.world.commands import Commands
from harness.world.waiting import wait_until

ROOT = Path(__file__).parents[2]
KIT = ("harness", "steps", "environment.py", "behave.ini")
PROGRAMS = {
    "keeper": "rbee-keeper",
    "queen": "queen-rbee",
    "hive": "rbee-hive",
    "worker": "llm-worker-rbee",
}
FEATURE = "features/infer/preflight.feature"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with every package that is installed here, but without rbee and its programs."""
    folder = tmp_path_factory.mktemp("environment")
    make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(make, check=True, capture_output=True)
    others = folder / "others"
    others.mkdir()
    for place in (Path(path) for path in sys.path if path.endswith("site-packages")):
        for entry in place.iterdir():
            link = others / entry.name
            if "rbee" not in entry.name and entry.suffix != ".pth" and not link.exists():
                link.symlink_to(entry)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "others.pth").write_text(f"{others}\n")
    return folder / "bin" / "python"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """What somebody takes along to judge other programs, with one feature."""
    for name in KIT:
        source = ROOT / name
        if source.is_dir():  # without what other tests are compiling there
            compiled = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=compiled)
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / FEATURE).parent.mkdir(parents=True)
    shutil.copy(ROOT / FEATURE, tmp_path / FEATURE)
    return tmp_path


def wrappers(folder: Path, **scripts: str) -> list[str]:
    """The four `-D` options, each with a program that lies elsewhere and has another name."""
    options = []
    folder.mkdir()
    for role, name in PROGRAMS.items():
        program = folder / f"my-{role}"
        installed = Path(sys.executable).parent / name
        script = scripts.get(role, f'exec {installed} "$@"')
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        options += ["-D", f"{role}={program}"]
    return options


def judge(
    python: Path, kit: Path, *arguments: str, within: float = 100
) -> subprocess.CompletedProcess[str]:
    """`within` is in seconds."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(python), "-m", "harness", *arguments],
        cwd=kit,
        env=environment,
        capture_output=True,
        text=True,
        timeout=within,
    )


def test_harness_and_steps_run_where_rbee_cannot_be_imported(python: Path, kit: Path) -> None:
    imported = subprocess.run([str(python), "-c", "import rbee"], cwd=kit, capture_output=True)
    assert b"ModuleNotFoundError" in imported.stderr
    programs = wrappers(kit / "programs")
    done = judge(python, kit, *programs, "--tags", "@t001-09 or @t001-12", FEATURE)
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed", done.stdout + done.stderr


@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_every_number_can_be_judged_where_rbee_cannot_be_imported(python: Path, kit: Path) -> None:
    for name in ("features", "docs"):
        shutil.copytree(ROOT / name, kit / name, dirs_exist_ok=True)
    programs = wrappers(kit / "programs")
    done = judge(python, kit, *programs, "--tags", "@t001-*", within=2900)
    assert done.returncode == 0, done.stdout + done.stderr
    switched_off = [line for line in done.stdout.splitlines() if line.startswith("switched off")]
    assert [line for line in switched_off if "@rbee" in line], done.stdout


def test_without_programs_it_says_how_to_name_them(python: Path, kit: Path) -> None:
    done = judge(python, kit, "--tags", "@t001-12", FEATURE)
    assert done.returncode != 0
    assert "rbee-hive" in done.stdout
    assert "-D hive=" in done.stdout, done.stdout


@pytest.mark.parametrize("role", ["queen", "hive"])
def test_the_judged_programs_are_the_ones_that_run(python: Path, kit: Path, role: str) -> None:
    programs = wrappers(kit / "programs", **{role: "exit 7"})
    done = judge(python, kit, *programs, "--tags", "@t001-12", FEATURE)
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed", done.stdout + done.stderr


def test_an_emptied_scenario_fails(python: Path, kit: Path) -> None:
    (kit / FEATURE).write_text("Feature: A\n\n  @t001-12\n  Scenario: emptied\n")
    done = judge(python, kit, *wrappers(kit / "programs"), FEATURE)
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed", done.stdout + done.stderr
    assert "without steps proves nothing" in done.stdout


def test_a_wrapper_that_becomes_another_program_is_found_by_its_role(tmp_path: Path) -> None:
    program = tmp_path / "my-hive"
    program.write_text("#!/bin/sh\nexec sh -c 'read line; exit' \"$@\"\n")
    program.chmod(0o755)
    commands = Commands({"hive": str(program), "queen": str(tmp_path / "my-queen")})
    argv = [*commands.argv("hive"), "daemon"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as started:
        process = psutil.Process(started.pid)
        wait_until("the last program", lambda: "read line; exit" in process.cmdline(), 5)
        assert str(program) not in process.cmdline()
        assert commands.runs("hive", "daemon", process)
        assert not commands.runs("hive", "detect", process)
        assert not commands.runs("queen", "daemon", process)
