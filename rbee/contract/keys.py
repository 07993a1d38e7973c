"""What an API key opens."""

from __future__ import annotations

from typing import Literal

Role = Literal["use", "manage"]
