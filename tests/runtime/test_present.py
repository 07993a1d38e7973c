"""An error as a person reads it."""

from __future__ import annotations

from rbee.contract.errors import ModelNotFound, RequestCanceled
from rbee.runtime.present import explain


def test_the_advice_stands_below_what_happened() -> None:
    error = ModelNotFound("There is none.", model="m", near=["n"])
    assert explain(error) == "Error [MODEL_NOT_FOUND]: There is none.\n→ Did you mean n?"


def test_without_advice_it_is_one_line() -> None:
    assert "\n" not in explain(RequestCanceled())
