"""Which pages there are, and whether they are as the code has them."""

from __future__ import annotations

from pathlib import Path

from pages import command_line, conformance, errors, events, http, openapi, settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def all_pages() -> dict[Path, str]:
    """Each page with its text, made from the code as it is now."""
    reference = DOCS / "reference"
    documents = {
        reference / f"openapi-{program}.json": openapi.text(program) for program in openapi.PROGRAMS
    }
    return {
        reference / "command-line.md": command_line.page(),
        reference / "http.md": http.page(),
        reference / "settings.md": settings.page(),
        reference / "errors.md": errors.page(ROOT / "rbee"),
        reference / "events.md": events.page(),
        **documents,
        DOCS / "conformance.md": conformance.page(ROOT),
    }


def is_stale(path: Path, text: str) -> bool:
    """Whether the file is missing or says something else."""
    return not path.is_file() or path.read_text(encoding="utf-8") != text
