"""rbee: run language models on the computers of a home lab.

Four programs, one package: `rbee.keeper`, `rbee.queen`, `rbee.hive`, `rbee.worker`.
What they say to each other is in `rbee.contract`; how each of them lives is in `rbee.runtime`.
"""

import sys

__version__ = "0.1.0"

# pip refuses an older Python by itself; this line is for who runs the checkout directly.
if sys.version_info < (3, 11):
    sys.exit(
        "rbee needs Python 3.11 or later, and this is %d.%d. Install a newer Python, make a "
        "virtual environment with it (python3.11 -m venv .venv) and install rbee there."
        % sys.version_info[:2]
    )
