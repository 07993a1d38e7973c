"""`python -m pages`: write every page that is made from the code, where it differs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pages import command_line, conformance, errors, http, openapi, settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def all_pages() -> dict[Path, Callable[[], str]]:
    """What makes the text of each page, from the code as it is now."""
    reference = DOCS / "reference"
    documents = {
        reference / f"openapi-{program}.json": partial(openapi.text, program)
        for program in openapi.PROGRAMS
    }
    return {
        reference / "command-line.md": command_line.page,
        reference / "http.md": http.page,
        reference / "settings.md": settings.page,
        reference / "errors.md": partial(errors.page, ROOT / "rbee"),
        reference / "events.md": http.events_page,
        **documents,
        DOCS / "conformance.md": partial(conformance.page, ROOT),
    }


def is_stale(path: Path, text: str) -> bool:
    """Whether the file is missing or differs."""
    return not path.is_file() or path.read_text(encoding="utf-8") != text


def main() -> int:
    for path, made in all_pages().items():
        text = made()
        if is_stale(path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
