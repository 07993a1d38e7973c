"""Which request gets a slot, and how much of the shared context, before anything is computed."""

from __future__ import annotations

from collections.abc import Collection

from rbee.contract.errors import AllSlotsBusy, InvalidRequest, PromptTooLong


def check_slot(busy: int, slots: int) -> None:
    """Raises ALL_SLOTS_BUSY if no slot is free."""
    if busy >= slots:
        raise AllSlotsBusy(slots_total=slots, slots_busy=slots, waiting=0)


def check_length(field: str, tokens: int, most: int, why: str, at_least: bool = False) -> None:
    """Raises PROMPT_TOO_LONG for a text of more than `most` tokens. `why` is where the limit comes
    from, for the message; `at_least`: the text has more than `tokens`, which were not counted."""
    if tokens > most:
        limit = f"at most {most} tokens"
        count = f"more than {tokens}" if at_least else str(tokens)
        message = f"The {field} has {count} tokens, and {why}"
        raise PromptTooLong(
            f"{message}.",
            errors=[{"field": field, "constraint": limit, "message": message, "value": tokens}],
        )


def check_prompt(
    tokens: int, context: int, trained: int | None = None, at_least: bool = False
) -> None:
    """Raises PROMPT_TOO_LONG if the context can never have room for an answer. `at_least` is as for
    `check_length`. Where it is as large
    as what the model was `trained` for, the advice is not to raise it."""
    try:
        check_length("prompt", tokens, context - 1, f"the context holds {context}", at_least)
    except PromptTooLong as error:
        if trained is not None and context >= trained:
            error.details["hint"] = "Shorten the prompt: the model was trained for no more."
        raise


def check_tokens(field: str, tokens: Collection[int], vocabulary: int) -> None:
    """Raises INVALID_REQUEST for the id of a token that the model does not have. Check first how
    many there are: a million take ten milliseconds."""
    if (largest := max(tokens, default=0)) >= vocabulary:
        error = f"The model has {vocabulary} tokens, and none with the id {largest}"
        raise InvalidRequest.of(field, f"token ids below {vocabulary}", error, largest)


def reserve(
    prompt: int,
    max_tokens: int,
    context: int,
    reserved: Collection[int],
    slots: int,
    trained: int | None = None,
) -> int:
    """How many tokens of the context a request may fill, its prompt included.

    `reserved` is what each running request may fill, `trained` what the model was trained for.
    Raises PROMPT_TOO_LONG if the context can never have room for an answer, and ALL_SLOTS_BUSY if
    it has no room now.
    """
    check_prompt(prompt, context, trained)
    wanted = min(prompt + max_tokens, context)
    if sum(reserved) + wanted > context:
        raise AllSlotsBusy(
            f"Running requests may fill {sum(reserved)} of the context's {context} tokens, "
            f"and this one wants {wanted}.",
            slots_total=slots,
            slots_busy=len(reserved),
            waiting=0,
        )
    return wanted
