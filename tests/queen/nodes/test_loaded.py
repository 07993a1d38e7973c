"""The models in memory: which of a repository is told of."""

from __future__ import annotations

from rbee.contract.texts import TemplateText
from rbee.contract.workers import ModelFacts, WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.loaded import LoadedModels
from tests.queen.nodes.conftest import UrlNode
from tests.queen.sshd import until

ONE, OTHER = "hf:o/r/one.gguf", "hf:o/r/other.gguf"
FACTS = ModelFacts("/m.gguf", 1, "GGUF", "llama.cpp", "llama", None, 1, 99, 50, 7, 2, 1)


class OneNode:
    def __init__(self, hive: Hive) -> None:
        self._hive = hive

    def hives(self) -> list[Hive]:
        return [self._hive]


async def test_of_a_repository_the_model_is_found_that_may_be_shown(url_node: UrlNode) -> None:
    fake, hive = url_node.fake, url_node.hive

    async def facts() -> object:
        return FACTS

    async def template() -> object:
        return TemplateText("{{ messages }}", None, None)

    fake.replies |= {"/v1/model": facts, "/v1/template": template}
    for name, model in (("w-1", OTHER), ("w-2", ONE)):
        fake.tell(WorkerRow(name, fake.url, model, "cpu", 0, "idle", None, None, 1, 1))
    await until(lambda: len(hive.seen_workers) == 2)
    loaded = LoadedModels(OneNode(hive))  # type: ignore[arg-type]

    async def found(reference: str, shown: str) -> list[str]:
        model = await loaded.find(reference, lambda each: each.startswith(shown))
        return [] if model is None else [each.model_ref for each in model.workers]

    assert await found("hf:o/r", "hf:o/r") == [OTHER]
    assert await found("hf:o/r", ONE) == [ONE]
    assert await found(OTHER, OTHER) == [OTHER]
    assert await found("hf:o/r", "hf:o/s") == await found("hf:o/s", "hf:") == []
