"""What would fit in place of a model that does not, without asking the Hub once more."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.errors import ModelGated, ModelNotFound, VramExhausted
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadRequest, ModelSource, SharedFile, SharedModel
from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.stored_models import StoredModel
from rbee.runtime.narration import Narrator
from tests.hive.conftest import HubServer, refuse, write_gguf

ROOM = 10**9
TICKET = "t" * 43
_PHASE = "model provisioning: "


class OneCard:
    """A machine with a card of as many free bytes as a test says."""

    has_nvidia_tool = False

    def __init__(self) -> None:
        self.free = ROOM

    async def usable(self) -> Any:
        return type("Usable", (), {"backends": ["cuda", "cpu"], "devices": {"cuda": 1, "cpu": 1}})

    async def memory(self) -> list[DeviceMemory]:
        card = DeviceMemory("cuda", 0, "card", ROOM, self.free)
        return [card, DeviceMemory("cpu", 0, "RAM", ROOM, ROOM)]


class Made:
    def __init__(self, home: Path, hub: HubServer) -> None:
        self.root = home / "models"
        self.hub = hub
        self.hardware = OneCard()
        self.said: list[str] = []
        say = Narrator(lambda said: self.said.append(said.text.removeprefix(_PHASE)))
        self.inventory = Inventory(home / "models.db", Folder(self.root), say)
        preflight = Preflight(self.hardware, say.say)  # type: ignore[arg-type]
        self.provisioner = Provisioner(Config(), self.inventory, Hub(2.0), preflight, say)

    def lies_there(self, place: str, size: int) -> StoredModel:
        """A model whose file is so large."""
        path = write_gguf(self.root / place)
        with path.open("r+b") as file:
            file.truncate(size)
        return StoredModel(parse(f"hf:{place}"), path)


@pytest.fixture
async def made(home: Path, hub_server: HubServer) -> AsyncIterator[Made]:
    made = Made(home, hub_server)
    yield made
    await made.provisioner.end_all()
    await made.inventory.close()


async def test_the_largest_of_the_repository_that_is_here_and_fits_is_named(made: Made) -> None:
    large = made.lies_there("owner/repo/m-Q8_0.gguf", 900_000)
    made.lies_there("owner/repo/m-Q4_K_M.gguf", 400_000)
    made.lies_there("owner/repo/m-Q2_K.gguf", 200_000)
    made.lies_there("owner/other/m-Q5_K_M.gguf", 410_000)
    found = await made.provisioner.largest_fitting(large, kv=0, free=500_000)
    assert found == "hf:owner/repo/m-Q4_K_M.gguf"
    assert (
        await made.provisioner.largest_fitting(large, kv=0, free=479_999)
        == "hf:owner/repo/m-Q2_K.gguf"
    )
    assert await made.provisioner.largest_fitting(large, kv=0, free=1000) is None
    assert made.hub.asked == []


async def test_what_the_last_listing_had_is_named_too(made: Made) -> None:
    path = write_gguf(made.root / "source.gguf")
    files = {"m-Q8_0.gguf": path.read_bytes() + bytes(900_000), "m-Q4_K_M.gguf": bytes(400_000)}
    path.unlink()
    made.hub.holds(files)
    await made.provisioner.info("hf:owner/repo:Q8_0")
    asked = len(made.hub.asked)
    large = made.lies_there("owner/repo/m-Q8_0.gguf", 900_000)
    found = await made.provisioner.largest_fitting(large, kv=0, free=500_000)
    assert found == "hf:owner/repo/m-Q4_K_M.gguf"
    assert len(made.hub.asked) == asked


async def test_a_file_of_ones_own_has_no_repository(made: Made) -> None:
    here = StoredModel(parse("file:/m.gguf"), Path("/m.gguf"))
    assert await made.provisioner.largest_fitting(here, kv=0, free=ROOM) is None


@pytest.mark.parametrize(("to_run", "device"), [(True, "cuda:0"), (False, None)])
async def test_a_download_to_run_is_held_against_the_card(
    made: Made, to_run: bool, device: str | None
) -> None:
    path = write_gguf(made.root / "source.gguf")
    made.hub.holds({"m-Q8_0.gguf": path.read_bytes()})
    path.unlink()
    made.hardware.free = 1000
    request = DownloadRequest("hf:owner/repo", to_run=to_run)
    if device is None:
        await made.provisioner.download(request)
        return
    with pytest.raises(VramExhausted) as caught:
        await made.provisioner.download(request)
    assert caught.value.details["device"] == device
    forced = DownloadRequest("hf:owner/repo", to_run=to_run, force=True)
    assert (await made.provisioner.download(forced)).reference == "hf:owner/repo/m-Q8_0.gguf"


def offered(data: bytes, reference: str = "hf:owner/repo/m-Q8_0.gguf") -> ModelSource:
    """By a node at whose address nobody listens."""
    file = SharedFile(reference.rpartition("/")[2], len(data), hashlib.sha256(data).hexdigest())
    return ModelSource(
        "left", "http://127.0.0.1:1", None, SharedModel(reference, [file], TICKET, 9)
    )


async def fetched(made: Made, model: str, *sources: ModelSource) -> None:
    reply = await made.provisioner.download(DownloadRequest(model, sources=list(sources)))
    async for _ in made.provisioner.progress(reply.download_id):
        pass


async def test_a_node_that_can_not_be_reached_leaves_it_to_the_hub(made: Made) -> None:
    data = write_gguf(made.root.parent / "source.gguf").read_bytes()
    made.hub.holds({"m-Q8_0.gguf": data})
    await fetched(made, "hf:owner/repo", offered(data))
    assert made.said == [
        "the node left does not send hf:owner/repo/m-Q8_0.gguf (Connection refused)",
        "fetching hf:owner/repo/m-Q8_0.gguf (0 MB)",
    ]


async def test_a_node_with_another_content_than_the_hub_lists_is_not_asked(made: Made) -> None:
    data = write_gguf(made.root.parent / "source.gguf").read_bytes()
    made.hub.holds({"m-Q8_0.gguf": data})
    await fetched(made, "hf:owner/repo", offered(data + b"older"))
    assert made.said == ["fetching hf:owner/repo/m-Q8_0.gguf (0 MB)"]


async def test_what_no_node_has_fails_for_the_hubs_own_reason(made: Made) -> None:
    made.hub.holds({"m-Q8_0.gguf": b"GGUF"})
    other = offered(b"GGUF", "hf:owner/other/m-Q2_K.gguf")
    with pytest.raises(ModelNotFound, match="owner/repo has no Q2_K"):
        await fetched(made, "hf:owner/repo:Q2_K", other)
    assert made.said == []


async def test_a_model_that_the_hub_does_not_show_is_the_nodes(made: Made) -> None:
    data = write_gguf(made.root.parent / "source.gguf").read_bytes()
    for path in (
        "/api/models/owner/repo?blobs=true",
        "/owner/repo/resolve/main/m-Q8_0.gguf",
    ):
        made.hub.answers[path] = refuse(403, "GatedRepo")
    with pytest.raises(ModelGated):  # of the header: nobody listens at the node
        await fetched(made, "hf:owner/repo", offered(data))
    assert made.said == [
        "the Hub does not list hf:owner/repo (MODEL_GATED): the sha256 of another node is trusted",
        "the node left does not send hf:owner/repo/m-Q8_0.gguf (Connection refused)",
    ]
