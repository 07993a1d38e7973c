"""The text of an answer that broke off, kept for the person."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def save(request_id: str, text: str) -> Path | None:
    """Write the text to `rbee-partial-<request_id>.txt` in the temporary folder (0600).

    None where there is nothing to keep, or no place to keep it.
    """
    path = Path(tempfile.gettempdir()) / f"rbee-partial-{request_id}.txt"
    with contextlib.suppress(OSError):
        if text:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(text)
            return path
    return None
