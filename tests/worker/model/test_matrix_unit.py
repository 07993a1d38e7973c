"""A processor whose matrix unit ends llama.cpp: it is recognized, and the unit is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.model_files.bundled import bundled_path
from rbee.worker.model import llama, matrix_unit

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_fp16 {}\nbugs\t\t: x\n"


@pytest.mark.parametrize(
    ("text", "has_it"),
    [
        (INTEL.format("amx_tile amx_int8") * 2, True),
        (INTEL.format("avx2"), False),
        (INTEL.format("avx2").replace("bugs\t\t: x", "bugs\t\t: amx_tile"), False),
        ("processor\t: 0\nFeatures\t: fp asimd sve\n", False),
        ("", False),
    ],
)
def test_it_is_recognized_by_its_flag(tmp_path: Path, text: str, has_it: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert matrix_unit.has_amx(tmp_path / "cpuinfo") is has_it


def test_a_system_without_cpuinfo_has_none(tmp_path: Path) -> None:
    assert not matrix_unit.has_amx(tmp_path / "cpuinfo")


@pytest.mark.parametrize("has_it", [True, False])
def test_a_model_is_loaded_without_it(monkeypatch: pytest.MonkeyPatch, has_it: bool) -> None:
    loaded: list[Any] = []
    load = llama.C.llama_model_load_from_file

    def spy(path: bytes, params: Any) -> Any:
        loaded.append(params.use_extra_bufts)
        return load(path, params)

    monkeypatch.setattr(llama.C, "llama_model_load_from_file", spy)
    monkeypatch.setattr(llama, "has_amx", lambda: has_it)
    llama.Model(bundled_path(), "cpu", 0, True, lambda _: True).free()
    assert loaded == [not has_it]
