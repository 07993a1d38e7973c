"""The proof that a daemon has the key; and strangers that listen at its address, and have none."""

import os

from behave import given, then
from behave.runner import Context

from harness.breaking.impostor import Impostor
from harness.watching import proofs
from harness.watching.replies import error_of


def _begin(
    context: Context,
    address: tuple[str, int],
    relay_to: tuple[str, int] | None = None,
    proves: bool = False,
) -> None:
    context.impostor = Impostor(address, relay_to, proves)
    context.world.add_cleanup(context.impostor.close)
    context.keys = [context.world.key]


@given("a stranger at the queen's address, that answers as a queen does")
def at_the_queens_address(context: Context) -> None:
    _begin(context, context.world.queen_address)


@given(
    "a stranger at the queen's address, that answers as a queen does, with a proof that it makes up"
)
def with_a_proof(context: Context) -> None:
    _begin(context, context.world.queen_address, proves=True)


@given("a stranger at the hive's address, that answers as a hive does")
def at_the_hives_address(context: Context) -> None:
    _begin(context, context.world.hive_address)


@given("{name:S} has a key in its home folder")
def key_of_a_node(context: Context, name: str) -> None:
    context.world.ensure_key()
    context.world.nodes[name].write_key("n" * 43)


@given("a stranger at {name:S}'s hive port, that answers as a hive does")
def at_a_node(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    _begin(context, (node.address, node.hive_port))
    context.keys.append("n" * 43)


@given("a stranger between keeper and queen")
def between(context: Context) -> None:
    address = context.world.network.address(10)
    _begin(context, (address, 8080), context.world.queen_address)
    context.world.set("queen", "url", f"http://{address}:8080")


@then("standard error names the stranger as the holder")
def names_the_stranger(context: Context) -> None:
    assert f"(pid {os.getpid()})" in context.run.stderr.text, context.run.stderr.text


@then("the stranger has been asked for a proof")
def asked_for_a_proof(context: Context) -> None:
    assert b"GET /v1/auth/proof?nonce=" in context.impostor.received, context.impostor.received


@then('it has received neither the key nor "{prompt}"')
def neither_key_nor_prompt(context: Context, prompt: str) -> None:
    received = context.impostor.received
    assert received, "it was not asked at all"
    for secret in (*context.keys, prompt):
        assert secret.encode() not in received, received


@then("the stranger has received nothing")
def received_nothing(context: Context) -> None:
    assert context.impostor.received == b"", context.impostor.received


@then("GET /v1/auth/proof of each answers 400 with the error INVALID_REQUEST, if nothing is asked")
def no_question_no_proof(context: Context) -> None:
    found = [
        (route.daemon, reply.status, error_of(reply).code)
        for route, reply in context.opened
        if route.path == "/v1/auth/proof"
    ]
    wanted = [(name, 400, "INVALID_REQUEST") for name in ("queen", "hive", "worker")]
    assert found == wanted * len(context.tried), found


@then(
    "each proves that it has the key, in the way of the reference, "
    "if it is asked for its own address"
)
def each_proves_it(context: Context) -> None:
    for program, url in _urls(context).items():
        for machine in (None, "", proofs.here()):
            reply = proofs.ask(url, machine=machine)
            proof = proofs.expected(url, program, context.world.key, machine)
            found = {"program": program, "wants_key": True, "proof": proof}
            assert (reply.status, reply.json) == (200, found), (url, machine, reply)


@then("asked for the address of another one, each answers {status:d}")
def not_for_another(context: Context, status: int) -> None:
    urls = list(_urls(context).values())
    for url, other in zip(urls, [*urls[1:], urls[0]], strict=True):
        reply = proofs.ask(url, other.removeprefix("http://"))
        assert reply.status == status, (url, other, reply)
        assert [each["field"] for each in error_of(reply).details["errors"]] == ["address"]


@then("asked for its own loopback address from another machine, each answers {status:d}")
def not_from_another_machine(context: Context, status: int) -> None:
    for url in _urls(context).values():
        reply = proofs.ask(url, machine=proofs.ELSEWHERE)
        assert reply.status == status, (url, reply)
        assert [each["field"] for each in error_of(reply).details["errors"]] == ["address"]


@then(
    "the queen proves that it has the key to whoever reaches it as {place:S}, but not as {other:S}"
)
def proves_behind_proxy(context: Context, place: str, other: str) -> None:
    """A proxy at that place would pass the question on."""
    world = context.world
    reply = proofs.ask(world.queen_url, place)
    proof = proofs.expected(f"http://{place}", "queen-rbee", world.key, None)
    assert (reply.status, reply.json["proof"]) == (200, proof), reply
    assert proofs.ask(world.queen_url, other).status == 421


def _urls(context: Context) -> dict[str, str]:
    world = context.world
    urls = {"queen-rbee": world.queen_url, "rbee-hive": world.hive_url}
    return {**urls, "llm-worker-rbee": context.worker["url"]}
