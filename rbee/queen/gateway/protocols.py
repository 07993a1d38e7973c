"""All protocols on one queen."""

from __future__ import annotations

from rbee.contract.config import ModelsSection
from rbee.queen.gateway.anthropic import routes as anthropic
from rbee.queen.gateway.llama_cpp import routes as llama_cpp
from rbee.queen.gateway.ollama import routes as ollama
from rbee.queen.gateway.ollama.shelf import Shelf
from rbee.queen.gateway.openai import routes as openai
from rbee.queen.gateway.responses import routes as responses
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import Catalog
from rbee.queen.nodes.loaded import LoadedModels
from rbee.queen.nodes.models import NodeModels
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.workers import NodeWorkers
from rbee.queen.tasks.scheduler import Scheduler
from rbee.runtime.light_aiohttp import web


def add(
    app: web.Application,
    scheduler: Scheduler,
    catalog: Catalog,
    nodes: Nodes,
    models: NodeModels,
    workers: NodeWorkers,
    configured: ModelsSection,
) -> None:
    """Every route of every protocol."""
    room = Room(scheduler, catalog, configured)
    openai.add(app, room)
    responses.add(app, room)
    llama_cpp.add(app, room, LoadedModels(nodes))
    anthropic.add(app, room)
    ollama.add(app, room, Shelf(room, models, workers))
