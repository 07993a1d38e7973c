"""The list of models as Anthropic's clients read it, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from rbee.contract.anthropic import AnthropicModel, AnthropicModels
from rbee.queen.gateway.replies import utc
from rbee.queen.nodes.catalog import KnownModel


class Page(msgspec.Struct, frozen=True):
    """Which models are wanted: those after or before one, and how many at most; without a `limit`
    all of them."""

    limit: Annotated[int, Meta(ge=1, le=1000)] | None = None
    after_id: str | None = None
    before_id: str | None = None


def page(models: Sequence[KnownModel], wanted: Page) -> AnthropicModels:
    """A page of the list; an id that is not there is as good as none."""
    ids = [model.reference for model in models]
    begin = ids.index(wanted.after_id) + 1 if wanted.after_id in ids else 0
    end = ids.index(wanted.before_id) if wanted.before_id in ids else len(ids)
    found = list(models[begin:end])
    limit = wanted.limit or len(found)
    before = wanted.before_id in ids
    shown = found[-limit:] if before else found[:limit]
    names = [model.reference for model in shown]
    return AnthropicModels(
        data=[listed(model) for model in shown],
        has_more=len(shown) < len(found),
        first_id=names[0] if names else None,
        last_id=names[-1] if names else None,
    )


def listed(model: KnownModel) -> AnthropicModel:
    """A model of the list."""
    created = utc(model.since).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = model.reference
    return AnthropicModel(id=name, display_name=name, created_at=created)
