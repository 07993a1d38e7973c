"""The models of this machine, without a hive, with one, and with one that is not ours to ask."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee import __version__
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import InvalidApiKey, ModelNotFound
from rbee.contract.models import ModelRows
from rbee.contract.nodes import HiveHealth, NodeInfo
from rbee.contract.workers import WorkerRows
from rbee.hive.local.hive_access import Direct, ThroughHive, open_models, running_hive, status_of
from rbee.runtime import api_key, paths, pid_file
from rbee.runtime.narration import Narrator
from tests.hive.conftest import write_gguf
from tests.proving import knows

CONFIG = Config()
SAY = Narrator(lambda _: None)
HEALTH = HiveHealth("alive", __version__, "v1")
NODE = NodeInfo(["cpu"], {"cpu": 1}, [], 32, 16, 8, "draining", None)
NOTED = ModelRows([], "/models", 100, 50, ["the catalog was damaged"])


def claim(pid: int, started: float, url: str = "http://127.0.0.1:1") -> None:
    pid_file.write(paths.pid_file("hive-rbee"), PidFile("rbee-hive", pid, started, url))


def mine(url: str = "http://127.0.0.1:1") -> None:
    """This process is the hive that the pid file names."""
    claim(os.getpid(), psutil.Process().create_time(), url)


async def hive(refuses: bool = False) -> TestServer:
    """The few routes that are asked, or a 401 on each."""

    def answers(reply: object) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_: web.Request) -> web.Response:
            error = InvalidApiKey(host="h").envelope()
            body, code = (error, 401) if refuses else (reply, 200)
            return web.Response(body=msgspec.json.encode(body), status=code)

        return answer

    app = web.Application(middlewares=[knows(lambda: "another" if refuses else api_key.load(None))])
    replies = {"health": HEALTH, "node": NODE, "workers/list": WorkerRows([]), "models": NOTED}
    for path, reply in replies.items():
        app.router.add_get(f"/v1/{path}", answers(reply))
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    mine(str(server.make_url("/")))
    return server


def test_without_a_pid_file_none_runs() -> None:
    assert running_hive() is None


def test_a_pid_that_another_program_has_by_now_is_not_a_hive() -> None:
    claim(os.getpid(), time.time() - 100_000)
    assert running_hive() is None


def test_a_hive_that_runs_is_known_by_its_pid_file() -> None:
    mine()
    found = running_hive()
    assert found is not None
    assert found.pid == os.getpid()


async def test_no_hive_is_stopped() -> None:
    assert (await status_of(CONFIG, None)).state == "stopped"


async def test_a_hive_shows_its_state_itself() -> None:
    server = await hive()
    found = await status_of(CONFIG, running_hive())
    await server.close()
    assert (found.state, found.version, found.devices) == ("draining", __version__, {"cpu": 1})


async def test_a_hive_with_another_key_runs_and_can_not_be_asked() -> None:
    server = await hive(refuses=True)
    found = await status_of(CONFIG, running_hive())
    await server.close()
    assert found.state == "running"
    assert "another machine's queen" in str(found.error)


async def test_a_hive_that_does_not_answer_is_unreachable() -> None:
    mine()
    found = await status_of(CONFIG, running_hive())
    assert found.state == "unreachable"
    assert found.error


async def test_a_hive_that_answers_is_asked() -> None:
    server = await hive()
    async with open_models(CONFIG, SAY) as models:
        assert isinstance(models, ThroughHive)
        assert await models.listing() == NOTED
    await server.close()


async def test_without_a_hive_the_folder_is_looked_at(home: Path) -> None:
    path = write_gguf(paths.models_dir() / "owner" / "repo" / "m-Q8_0.gguf")
    async with open_models(CONFIG, SAY) as models:
        assert isinstance(models, Direct)
        [row] = (await models.listing()).models
        assert row.reference == "hf:owner/repo/m-Q8_0.gguf"
        assert (await models.info("hf:owner/repo")).architecture == "llama"
        assert (await models.delete("hf:owner/repo")).freed_bytes > 0
    assert not path.exists()


@pytest.mark.parametrize("refuses", [True, False])
async def test_beside_a_hive_that_can_not_be_asked_nothing_is_deleted(refuses: bool) -> None:
    path = write_gguf(paths.models_dir() / "owner" / "repo" / "m-Q8_0.gguf")
    server = await hive(refuses=True) if refuses else None
    if server is None:
        mine()
    async with open_models(CONFIG, SAY) as models:
        assert len((await models.listing()).models) == 1
        with pytest.raises(Exception, match="does not accept" if refuses else "No answer"):
            await models.delete("hf:owner/repo")
    if server is not None:
        await server.close()
    assert path.exists()


async def test_the_error_of_the_service_is_raised() -> None:
    async with open_models(CONFIG, SAY) as models:
        with pytest.raises(ModelNotFound):
            await models.delete("hf:owner/none")
