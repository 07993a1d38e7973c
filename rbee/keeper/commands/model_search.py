"""`rbee-keeper models search`: what the Hub has, and what of it this machine can run."""

from __future__ import annotations

from rbee.contract import endpoints as ep
from rbee.contract.models import FoundRepository, NodeSearch, Offered
from rbee.keeper.commands.runner import queen_request
from rbee.keeper.session.queen import Queen
from rbee.runtime import safe_text
from rbee.runtime.listings import megabytes, table
from rbee.runtime.screen import Screen

_HEADS = ("MODEL", "SIZE", "FITS", "DOWNLOADS")
_UNKNOWN = "unknown"


@queen_request(NodeSearch)
async def search(queen: Queen, screen: Screen, request: NodeSearch) -> None:
    """Show a line for each model of each repository."""
    found = (await queen.client.call(ep.QUEEN_MODEL_SEARCH, request)).repositories
    rows = [row for each in found for row in _rows(each)]
    screen.listing(found, table(_HEADS, rows) if rows else "")
    for each in found:
        if each.gated:
            screen.note(f"{each.repository} is gated: its owner gives access on request.")
    if not found:
        words = safe_text.line(request.words)
        screen.note(f"The Hub finds no model in GGUF for {words!r}. Try fewer or other words.")


def _rows(each: FoundRepository) -> list[tuple[str, str, str, str]]:
    downloads = str(each.downloads)
    if not each.offered:
        return [(f"hf:{each.repository}", _UNKNOWN, _UNKNOWN, downloads)]
    return [
        (
            _shortest_name(each, offer),
            megabytes(offer.size_bytes) if offer.size_bytes else _UNKNOWN,
            "yes" if offer.fits else "no",
            downloads,
        )
        for offer in each.offered
    ]


def _shortest_name(each: FoundRepository, offer: Offered) -> str:
    """By its quantization if the repository has only one such model, else by its file."""
    same = [other for other in each.offered or () if other.quantization == offer.quantization]
    if offer.quantization is None or len(same) > 1:
        return offer.reference
    return f"hf:{each.repository}:{offer.quantization}"
