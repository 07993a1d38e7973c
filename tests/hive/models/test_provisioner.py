"""What would fit in place of a model that does not, without asking the Hub once more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.errors import VramExhausted
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadRequest
from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.stored_models import StoredModel
from rbee.runtime.narration import Narrator
from tests.hive.conftest import HubServer, write_gguf

ROOM = 10**9


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
        say = Narrator(lambda _: None)
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
    forced = DownloadRequest("hf:owner/repo", to_run=True, force=True)
    assert (await made.provisioner.download(forced)).reference == "hf:owner/repo/m-Q8_0.gguf"
