"""What each scenario leaves for finding out why it failed: outputs, logs, and a time line."""

import re
import shutil
import time
from pathlib import Path

_LAST_LINES = 15


class Evidence:
    """A folder per scenario; kept when the scenario fails, removed when it passes."""

    def __init__(self, root: Path, scenario: str) -> None:
        self.folder = root / (re.sub(r"[^a-z0-9]+", "-", scenario.lower()).strip("-"))
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._began = time.monotonic()
        self._time_line: list[str] = []

    def note(self, what: str) -> None:
        self._time_line.append(f"{time.monotonic() - self._began:8.3f} s  {what}")

    def keep_logs(self, home: Path, name: str = "logs") -> None:
        logs = home / ".rbee" / "logs"
        if logs.is_dir():
            shutil.copytree(logs, self.folder / name, dirs_exist_ok=True)

    def report(self) -> str:
        parts = []
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            if lines:
                parts.append(f"--- {file.relative_to(self.folder)}, last lines")
                parts += lines[-_LAST_LINES:]
        parts += ["--- time line", *self._time_line, f"--- all of it: {self.folder}"]
        text = "\n".join(parts)
        (self.folder / "report.txt").write_text(text + "\n", encoding="utf-8")
        return text

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
