"""Who gets a slot, and how much of the shared context: decided before anything is computed."""

from __future__ import annotations

from collections.abc import Collection

from rbee.contract.errors import AllSlotsBusy, PromptTooLong


def check_slot(busy: int, slots: int) -> None:
    """Raises ALL_SLOTS_BUSY where none of the slots is free."""
    if busy >= slots:
        raise AllSlotsBusy(slots_total=slots, slots_busy=slots, waiting=0)


def check_length(field: str, tokens: int, most: int, why: str) -> None:
    """Raises PROMPT_TOO_LONG with both counts for a text of more than `most` tokens; `why` tells
    where the limit comes from."""
    if tokens > most:
        limit = f"at most {most} tokens"
        told = f"The {field} has {tokens} tokens, and {why}"
        raise PromptTooLong(
            f"{told}.",
            errors=[{"field": field, "constraint": limit, "message": told, "value": tokens}],
        )


def reserve(
    prompt: int, max_tokens: int, context: int, reserved: Collection[int], slots: int
) -> int:
    """How many tokens of the context this request may fill, in all.

    `reserved` is what each running request may fill. Raises PROMPT_TOO_LONG with both counts where
    no room for an answer can ever be, ALL_SLOTS_BUSY where it can't be now; `slots` are all there
    are.
    """
    check_length("prompt", prompt, context - 1, f"the context holds {context}")
    want = min(prompt + max_tokens, context)
    if sum(reserved) + want > context:
        raise AllSlotsBusy(
            f"Running requests may fill {sum(reserved)} of the context's {context} tokens, "
            f"and this one wants {want}.",
            slots_total=slots,
            slots_busy=len(reserved),
            waiting=0,
        )
    return want
