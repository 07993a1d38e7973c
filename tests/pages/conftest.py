"""`pages` lies beside the package and is not installed: it is found in this checkout, and `rbee` is
still the installed one."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT))
