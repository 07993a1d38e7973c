"""Whether every answer is a valid document: so many, under ten schemas, at temperature 1.5.

    python -m benchmarks.schemas --answers 1000

Each answer has a seed of its own, and eight are made at a time, by the bundled model. The package
jsonschema judges them. An answer that is cut off after 1,000 tokens counts as not valid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import jsonschema

from benchmarks.ten_schemas import SCHEMAS
from benchmarks.where_time_goes import load
from rbee.contract.events import Done, Token
from rbee.contract.tasks import InferenceRequest, JsonSchema, ResponseFormat
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Engine
from rbee.worker.requests.requests import Requests

SLOTS = 8
PROMPT = "<|im_start|>user\nAnswer with JSON: {}<|im_end|>\n<|im_start|>assistant\n"


async def answer(requests: Requests, name: str, seed: int) -> tuple[str, str]:
    """The text of an answer under the schema `name`, and what is wrong with it."""
    form = ResponseFormat("json_schema", JsonSchema(SCHEMAS[name]))
    request = InferenceRequest(
        prompt=PROMPT.format(name),
        max_tokens=1000,
        temperature=1.5,
        seed=seed,
        response_format=form,
    )
    text = reason = ""
    async for event in requests.answer(request):
        if isinstance(event, Token):
            text += event.token
        elif isinstance(event, Done) and event.stop_reason != "EOS":
            reason = event.stop_reason
    try:
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
        jsonschema.validate(json.loads(text), SCHEMAS[name], format_checker=checker)
    except (ValueError, jsonschema.ValidationError) as error:
        reason = reason or str(error).splitlines()[0]
    return text, reason


async def main(count: int) -> int:
    """Make and judge them. Returns the exit code: 1 if any is not valid."""
    ready = asyncio.Event()
    requests = Requests(SLOTS, "bundled", Broadcast())

    def opened(outcome: Any) -> None:
        requests.open(outcome, engine)
        ready.set()

    engine = Engine(load, SLOTS, opened, requests.take)
    engine.start()
    await ready.wait()
    names = list(SCHEMAS)
    made: Counter[str] = Counter()
    valid: Counter[str] = Counter()
    seeds = iter(range(count))

    async def work() -> None:
        for seed in seeds:
            name = names[seed % len(names)]
            text, reason = await answer(requests, name, seed)
            made[name] += 1
            valid[name] += not reason
            if reason:
                print(f"{name}, seed {seed}: {reason}: {text!r}")

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(SLOTS)))
    took_s = time.monotonic() - began
    for name in names:
        print(f"{name:24}{valid[name]:6} of {made[name]} valid")
    print(f"{valid.total()} of {made.total()} valid, in {took_s:.0f} s")
    await requests.close()
    await engine.stop()
    return int(valid.total() < made.total())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1000)
    sys.exit(asyncio.run(main(parser.parse_args().answers)))
