"""A daemon's side of the proof: who asks may be anybody, and learns nothing else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from rbee.contract.endpoints import Nothing
from rbee.contract.errors import InvalidRequest, Misdirected
from rbee.contract.proof import Proof, ProofWanted, is_own_address, proof_of
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.light_aiohttp import web
from rbee.runtime.machine import this_machine


def proving(lifecycle: Lifecycle) -> Callable[[web.Request, Nothing], Coroutine[Any, Any, Proof]]:
    """The handler of GET /v1/auth/proof."""

    async def prove(request: web.Request, _: Nothing) -> Proof:
        try:
            wanted = msgspec.convert(dict(request.query), ProofWanted)
        except msgspec.ValidationError:
            fields = ", ".join(ProofWanted.__struct_fields__)
            message = f"Expected {fields}, as the reference says"
            raise InvalidRequest.of("query", fields, message) from None
        own = request.transport and request.transport.get_extra_info("sockname")
        reached_at, machine = lifecycle.reached_at, this_machine()
        if not own or not is_own_address(wanted, own[:2], reached_at, machine):
            message = f"{lifecycle.program} is not there"
            hint = "If a proxy or a router is, add it to [auth] hosts on its machine: HOST:PORT."
            raise Misdirected.of("address", "its own", message, wanted.address, hint)
        digest = lifecycle.digest(wanted.key_id)
        proof = proof_of(digest, lifecycle.program, wanted) if digest else None
        return Proof(lifecycle.program, lifecycle.keys is not None, proof)

    return prove
