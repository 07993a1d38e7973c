"""The models that there are, as Ollama lists and shows them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping

from rbee.contract.models import ModelCard, ModelMetadata
from rbee.contract.ollama import (
    OllamaDetails,
    OllamaModel,
    OllamaModels,
    OllamaProcesses,
    OllamaRunning,
    OllamaShown,
)
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import LoadedModel
from rbee.queen.gateway.ollama.values import parameter_size, rfc3339
from rbee.queen.nodes.catalog import KnownModel

LATEST = ":latest"
_UNKNOWN = "unknown"
_FOR_EVER_S = 300 * 365 * 86400.0
# What a task has by default.
_DEFAULTS = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")


def name_of(reference: str) -> str:
    """A name as Ollama's clients expect it: with a tag, or something else after a colon."""
    return reference if ":" in reference else reference + LATEST


def digest_of(reference: str, card: ModelCard | None) -> str:
    """64 hexadecimal digits: the sha256 of the file, or, if that is not known or there are several
    files, one of their sums or of the reference."""
    known = (card.sha256 or card.reference) if card is not None else reference
    return known if len(known) == 64 else hashlib.sha256(known.encode()).hexdigest()


def tags(models: Iterable[KnownModel]) -> OllamaModels:
    """Those that are on a node. One whose header has not been read yet is left out: clients take no
    half of a model."""
    return OllamaModels([_listed(model.reference, model.card) for model in models if model.card])


def processes(
    loaded: Iterable[LoadedModel], models: Iterable[KnownModel], called: Mapping[str, str]
) -> OllamaProcesses:
    """Those in memory that are among `models`, which the client may see. `called` are the names
    that requests used; without one it is an alias, or the reference."""
    known = {model.reference: model for model in models}
    aliases = {model.card.reference: name for name, model in known.items() if model.card}
    now = time.time()
    found = []
    for each in loaded:
        model = known.get(each.model_ref)
        if model is None or (each.expires_at is not None and each.expires_at <= now):
            continue
        name = called.get(each.model_ref) or aliases.get(each.model_ref) or each.model_ref
        found.append(_running(name_of(name), each, model.card, now))
    return OllamaProcesses(found)


def shown(card: ModelCard, metadata: ModelMetadata) -> OllamaShown:
    """All that is known of a model."""
    defaults = TaskRequest(prompt=" ")
    lines = [f"{name:<30} {getattr(defaults, name):g}" for name in _DEFAULTS]
    info = {**metadata.fields, "general.parameter_count": card.parameters}
    return OllamaShown(
        modelfile=f"FROM {card.reference}\n",
        license=str(metadata.fields.get("general.license", "")),
        parameters="\n".join(lines),
        template=metadata.chat_template,
        details=_details(card),
        model_info=dict(sorted(info.items())),
        capabilities=card.capabilities,
        modified_at=rfc3339(card.modified_at_unix),
    )


def _listed(reference: str, card: ModelCard) -> OllamaModel:
    name = name_of(reference)
    return OllamaModel(
        name=name,
        model=name,
        modified_at=rfc3339(card.modified_at_unix),
        size=card.size_bytes,
        digest=digest_of(reference, card),
        details=_details(card),
        capabilities=card.capabilities,
    )


def _running(name: str, loaded: LoadedModel, card: ModelCard | None, now: float) -> OllamaRunning:
    for_ever = now + _FOR_EVER_S
    expires = for_ever if loaded.expires_at is None else min(loaded.expires_at, for_ever)
    return OllamaRunning(
        name=name,
        model=name,
        size=loaded.memory_bytes,
        digest=digest_of(loaded.model_ref, card),
        details=_details(card),
        expires_at=rfc3339(expires),
        size_vram=loaded.device_bytes,
        context_length=loaded.context,
    )


def _details(card: ModelCard | None) -> OllamaDetails:
    family = card.architecture if card is not None else _UNKNOWN
    return OllamaDetails(
        parent_model="",
        format="gguf",
        family=family,
        families=[family],
        parameter_size=parameter_size(card.parameters) if card is not None else _UNKNOWN,
        quantization_level=(card.quantization if card is not None else None) or _UNKNOWN,
    )
