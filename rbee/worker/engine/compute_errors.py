"""The errors for what can't be computed, though the model is loaded."""

from __future__ import annotations

from pathlib import Path

from rbee.contract.errors import ComputeFailed, Internal, RbeeError

# What llama_decode returns for a batch that we should not have given it.
_OUR_FAULTS = (1, -1)


def not_numbers(file: Path) -> ComputeFailed:
    """The error for results that are not numbers: of damaged weights, mostly."""
    reason = "the model computed values that are not numbers"
    return ComputeFailed(file=str(file), reason=reason)


def refused(file: Path, code: int) -> RbeeError:
    """The error for a batch that llama.cpp did not compute."""
    reason = f"llama.cpp could not compute (code {code})"
    if code in _OUR_FAULTS:
        return Internal(f"{reason}.", correlation_id="")
    return ComputeFailed(file=str(file), reason=reason)
