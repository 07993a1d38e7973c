"""Who gets a slot, and how much of the shared context: decided before anything is computed."""

from __future__ import annotations

from collections.abc import Collection

from rbee.contract.errors import AllSlotsBusy, PromptTooLong


def take_slot(used: Collection[int], slots: int) -> int:
    """The lowest slot that is not in `used`; raises ALL_SLOTS_BUSY."""
    for slot in range(slots):
        if slot not in used:
            return slot
    raise AllSlotsBusy(slots_total=slots, slots_busy=slots, waiting=0)


def reserve(
    prompt: int, max_tokens: int, context: int, reserved: Collection[int], slots: int
) -> int:
    """How many tokens of the context this request may fill, in all.

    `reserved` is what each running request may fill. Raises PROMPT_TOO_LONG with both counts where
    no room for an answer can ever be, ALL_SLOTS_BUSY where it can't be now; `slots` are all there
    are.
    """
    if prompt >= context:
        limit = f"at most {context - 1} tokens"
        told = f"The prompt has {prompt} tokens, and the context holds {context}"
        raise PromptTooLong(
            f"{told}.",
            errors=[{"field": "prompt", "constraint": limit, "message": told, "value": prompt}],
        )
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
