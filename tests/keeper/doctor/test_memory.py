"""What the default model needs: the number that `models info` and the preflight tell."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rbee.contract.config import Config, ModelsSection, WorkerSection
from rbee.contract.events import Event
from rbee.contract.model_ref import DEFAULT
from rbee.hive.local.hive_access import open_models
from rbee.keeper.doctor import check_programs, probe_files
from rbee.runtime.listings import megabytes
from rbee.runtime.narration import Narrator
from tests.hive.conftest import write_gguf


async def told_by_info(config: Config, model: str) -> int:
    def nobody(_: Event) -> None:
        return

    async with open_models(config, Narrator(nobody)) as models:
        return (await models.info(model)).required_bytes


@pytest.mark.parametrize("context", [None, 64])
@pytest.mark.parametrize("model", [DEFAULT, "hf:a/b", "hf:a/b:Q4_K_M", "hf:a/b@v1", "alias"])
async def test_the_doctor_and_models_info_tell_one_number(
    home: Path, model: str, context: int | None
) -> None:
    folder = home / "models"
    for place in ("a/b/m-Q4_K_M.gguf", "a/b/m-Q2_K.gguf", "a/b@v1/sub/m-Q8_0.gguf"):
        write_gguf(folder / place)
    config = Config(
        models=ModelsSection(dir=str(folder), default=model, aliases={"alias": "hf:a/b"}),
        worker=WorkerSection(context=context),
    )
    found = probe_files.memory(config, [])
    assert found.error is None
    assert found.needed == await told_by_info(config, model)
    said = check_programs.memory(msgspec.structs.replace(found, free=1 << 40, largest=1 << 40))
    if found.needed >= 10_000_000:
        assert f"needs {megabytes(found.needed)}" in said.said


def test_a_default_model_that_is_broken_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"milk, bread")
    found = probe_files.memory(Config(models=ModelsSection(default=f"file:{file}")), [])
    assert check_programs.memory(found).state == "problem"
