"""A copy of the working tree's rbee, installed beside the real one, to be broken."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from harness.saboteurs.breaks import TREE
from harness.world.commands import INSTALLED, SCRIPTS


def install(folder: Path) -> Path:
    """Return the Python of a virtual environment that has the copy in `folder`/tree, and every
    other package of this one. The programs lie beside that Python."""
    tree, environment = folder / "tree", folder / "venv"
    # With the byte code, which stays valid for what is not changed.
    shutil.copytree(TREE / "rbee", tree / "rbee")
    make = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(make, check=True, capture_output=True)
    python = environment / "bin" / "python"
    for name in INSTALLED.values():
        _, _, script = (SCRIPTS / name).read_text().partition("\n")
        program = environment / "bin" / name
        program.write_text(f"#!{python}\n{script}")
        program.chmod(0o755)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # The packages may themselves be those of another environment.
    others = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    # The whole tree comes last: for `harness`, which tests of units import too.
    (packages / "tree.pth").write_text("\n".join([str(tree), *others, str(TREE), ""]))
    return python
