"""A hive's error under the name that the person knows its node by, with what mends it there."""

from __future__ import annotations

from rbee.contract.errors import DiskFull, ModelCorrupt, VramExhausted
from rbee.queen.nodes.error_names import with_node_name


def test_the_node_has_the_name_that_the_person_gave_it() -> None:
    error = with_node_name(
        VramExhausted(node="box-7", device="cpu", required=2, available=1), "attic"
    )
    assert error.details["node"] == "attic"
    assert error.message.startswith("attic has 1 MB free")


def test_a_corrupt_model_of_the_hub_is_named_with_the_node_that_has_it() -> None:
    error = with_node_name(ModelCorrupt(file="/m/x.gguf", reason="short"), "attic", "hf:a/b")
    assert "models delete hf:a/b --node attic" in error.advice


def test_of_this_machine_no_command_has_to_name_it() -> None:
    error = with_node_name(ModelCorrupt(file="/m/x.gguf", reason="short"), "localhost", "hf:a/b")
    assert "node" not in error.details
    assert "--node" not in error.advice
    assert (
        "--node"
        not in with_node_name(DiskFull(required=2, available=1, path="/m"), "localhost").advice
    )


def test_a_file_of_a_nodes_own_can_not_be_fetched_again() -> None:
    error = with_node_name(ModelCorrupt(file="/x.gguf", reason="short"), "attic", "file:/x.gguf")
    assert "model" not in error.details
