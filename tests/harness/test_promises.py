"""Every value of the contract is compared by a step that a scenario uses, or has a reason."""

import pytest

from harness.promises.table import (
    Promise,
    Specification,
    complaints,
    load,
    undocumented_routes,
)
from harness.watching.key_sweep import routes


@pytest.fixture(scope="module")
def specification() -> Specification:
    return Specification()


def test_every_place_exists_and_every_documented_value_is_in_the_table(
    specification: Specification,
) -> None:
    assert not complaints(load(), specification)


def test_a_step_that_is_not_there_is_told(specification: Specification) -> None:
    assert "there is no step" in specification.fault("the moon is made of {cheese}")


def test_a_step_that_no_scenario_uses_is_told(specification: Specification) -> None:
    unused = specification.steps - specification.uses.keys()
    for step in unused:
        assert "no scenario uses" in specification.fault(step)
    specification.steps.add("a step for nobody")
    assert "no scenario uses" in specification.fault("a step for nobody")


def test_a_scenario_that_is_not_there_is_told(specification: Specification) -> None:
    assert "there is no scenario" in specification.fault("scenario: On the moon")


@pytest.mark.parametrize(
    "promise",
    [
        # Only ever null, "…", or a list without an element.
        Promise("messages", "NodeModelRows", "notes", "the {who:w} answers GET {path:S} with"),
        Promise("messages", "Hold", "hold_id", "it told {name:w} with"),
        Promise(
            "messages", "AddNode", "accept_host_key", "the registry has one row, of {name:S}, with"
        ),
        # It stands there, but in another message, and with another error.
        Promise("messages", "WorkerCheck", "backend", "the {who:w} answers GET {path:S} with"),
        Promise("errors", "PORT_BLOCKED", "reason", "its details are {{{values}}}"),
        Promise("settings", "models", "aliases", "it shows these settings, and no others"),
    ],
)
def test_a_value_that_no_feature_writes_down_is_told(
    promise: Promise, specification: Specification
) -> None:
    assert "never has it with a value" in specification.doubt(promise)


def test_a_step_that_compares_any_words_is_told(specification: Specification) -> None:
    by = 'standard {output:w} says "{words}"'
    told = specification.doubt(Promise("messages", "WorkerGone", "log_tail", by))
    assert "compares any words" in told


def test_a_value_that_is_only_in_the_table_is_told(specification: Specification) -> None:
    more = [*load(), Promise("errors", "NODE_NOT_FOUND", "colour", why="made up")]
    assert complaints(more, specification) == ["errors: NODE_NOT_FOUND colour is not documented"]


def test_a_documented_value_that_is_not_in_the_table_is_told(specification: Specification) -> None:
    fewer = [each for each in load() if (each.of, each.value) != ("QueenHealth", "pid")]
    assert complaints(fewer, specification) == ["messages: QueenHealth pid is not in the table"]


@pytest.mark.parametrize(
    "by, why", [("", ""), ("the {who:w} answers GET {path:S} with", "it can't be")]
)
def test_a_value_without_comparer_and_without_reason_is_told(
    by: str, why: str, specification: Specification
) -> None:
    known, *others = load()
    changed = Promise(known.kind, known.of, known.value, by, why)
    (told,) = complaints([changed, *others], specification)
    assert told.startswith(f"{known}: either ")


def test_the_sweep_has_every_documented_route() -> None:
    own = [(each.daemon, f"{each.method} {each.path}") for each in routes()]
    assert not undocumented_routes(own)
