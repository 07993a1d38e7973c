"""The signatures of thinking blocks, which clients give back as they are.

Anthropic's prove that the text is the model's own, and carry it where the client asked not to see
it. Nothing is proven here. They carry the text in that case: the model needs its own reasoning to
go on after a call, and the queen keeps nothing between two requests.
"""

from __future__ import annotations

import base64
import binascii

_PLAIN = "rbee"
_CARRIES = "rbee."


def of(thinking: str, shown: bool) -> str:
    """The signature of a block with this text, which is empty for the client unless `shown`."""
    if shown:
        return _PLAIN
    return _CARRIES + base64.b64encode(thinking.encode()).decode()


def thinking_in(signature: str | None) -> str:
    """The text that a signature carries; empty if it carries none, or is somebody else's."""
    if not signature or not signature.startswith(_CARRIES):
        return ""
    try:
        return base64.b64decode(signature.removeprefix(_CARRIES), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
