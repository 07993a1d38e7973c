"""A disk of a few megabytes, mounted for one scenario: it fills up as a real one does."""

import subprocess
from pathlib import Path

_BLOCK = 4096


class SmallDisk:
    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(parents=True)
        options = f"size={megabytes * 1_000_000 // _BLOCK * _BLOCK}"
        argv = ["mount", "-t", "tmpfs", "-o", options, "rbee-small-disk", str(path)]
        subprocess.run(argv, check=True, capture_output=True, timeout=5)

    def fill(self) -> None:
        """To the last block, as somebody else's log file might."""
        with (self.path / "somebody-elses.log").open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * _BLOCK):
                    pass
            except OSError:
                return

    def close(self) -> None:
        """Lazily: a program of the scenario may still hold a file on it."""
        subprocess.run(["umount", "-l", str(self.path)], check=True, capture_output=True, timeout=5)
