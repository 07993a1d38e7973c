"""Where the time of the worker goes: llama.cpp's decode and sampling, our own code, the streams.

    python -m benchmarks.where_time_goes

It runs the worker's engine and requests in this process, with one stream and with eight, and prints
shares of the engine thread's time. HTTP is left out; `python -m benchmarks.worker` measures it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.main_job import bundled
from benchmarks.peers import THREADS
from benchmarks.worker import PROMPTS
from rbee.contract.tasks import InferenceRequest
from rbee.gguf.reader import read
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Loaded
from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model
from rbee.worker.model.sampling import Sampler
from rbee.worker.requests.requests import Requests

TOKENS = 128


class Timed:
    """Adds up the seconds that a method takes."""

    def __init__(self, kind: type, name: str) -> None:
        self.seconds = 0.0
        method: Callable[..., Any] = getattr(kind, name)

        def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*given, **named)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(kind, name, timed)


def load() -> Loaded:
    """Load as the worker does, without progress."""
    model = Model(bundled(), "cpu", 0, True, lambda _: True)
    context = Context(model, 8192, 8, THREADS)
    chat = ChatTemplate(model.chat_template(), "", "")
    return Loaded(read(bundled()), model, context, chat, THREADS, None)


async def stream(requests: Requests, prompt: str) -> None:
    """Read one answer and discard it."""
    request = InferenceRequest(prompt=prompt, max_tokens=TOKENS, temperature=0.7, ignore_eos=True)
    async for _ in requests.answer(request):
        pass


async def main() -> None:
    """Measure and print."""
    parts = {
        "llama.cpp: decode": Timed(Context, "decode"),
        "llama.cpp: sampling": Timed(Sampler, "sample"),
        "filling the batch": Timed(Context, "add"),
        "a whole step": Timed(Engine, "_step"),
    }
    ready = asyncio.Event()
    requests = Requests(8, "bundled", Broadcast())

    def opened(outcome: Any) -> None:
        requests.open(outcome, engine)
        ready.set()

    engine = Engine(load, 8, opened, requests.take)
    engine.start()
    await ready.wait()
    for count in (1, 8):
        for part in parts.values():
            part.seconds = 0.0
        loop_s, began = time.thread_time(), time.perf_counter()
        await asyncio.gather(*(stream(requests, prompt) for prompt in PROMPTS[:count]))
        wall_s, loop_s = time.perf_counter() - began, time.thread_time() - loop_s
        whole_s = parts["a whole step"].seconds
        named_s = sum(part.seconds for part in parts.values()) - whole_s
        print(f"\n{count} streams, {count * TOKENS} tokens, {count * TOKENS / wall_s:.0f} tokens/s")
        for name, part in parts.items():
            if name != "a whole step":
                print(f"  {name:28}{part.seconds / wall_s:7.1%} of the time")
        print(f"  {'rest of the step':28}{(whole_s - named_s) / wall_s:7.1%}")
        print(f"  {'between steps':28}{(wall_s - whole_s) / wall_s:7.1%}")
        print(f"  event loop, in parallel: {loop_s / (count * TOKENS) * 1e6:.0f} µs a token")
    await requests.close()
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main())
