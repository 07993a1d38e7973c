"""`python -m pages`: write every page that is made from the code, where it differs."""

from __future__ import annotations

import sys

from pages import everything


def main() -> int:
    for path, text in everything.all_pages().items():
        if everything.is_stale(path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(everything.ROOT)} is written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
