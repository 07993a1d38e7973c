"""Models of a few kilobytes that llama.cpp really loads: they answer within microseconds.

In the alphabet model each letter is followed by the next one, and "z" by the end. What came before
the last letter does not matter. In the random one it does, since its weights are noise.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from rbee.contract.errors import RbeeError
from rbee.contract.events import Done, Prefill, Token
from rbee.contract.tasks import InferenceRequest
from rbee.gguf.reader import read
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Loaded
from rbee.worker.engine.request import Output, Outputs, Request
from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.constraint import Constraint
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.model.tool_formats.parser import Form
from rbee.worker.requests.answer_form import constraint

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<unk>", "<s>", "</s>", *LETTERS, "▁", "<0x0A>", "!"]
END = WORDS.index("</s>")
WIDTH = len(WORDS)
TRAINED = 512

Load = Callable[..., Loaded]
Templates = Sequence[Mapping[str, str]]
Open = Callable[..., "Desk"]


def write_model(
    path: Path,
    noise: bool,
    each: int = 0,
    templates: Templates = (),
    chain: Sequence[str] = (),
    **more: int,
) -> None:
    """With `each` the model is split, so many tensors in a part. `templates` are chat templates,
    each a `name` and a `template`. With `chain` its words are these in the place of the letters:
    each is followed by the next, and the last by the end. What stands in brackets is a control
    token."""
    words = [*WORDS[:3], *chain, *(f"{index}" for index in range(-len(chain) % 4 + 1))]
    words = words if chain else WORDS
    width = len(words)
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=each)
    writer.add_block_count(1)
    writer.add_context_length(TRAINED)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    if templates:
        writer.add_chat_template(templates)
    for key, number in more.items():
        writer.add_uint32(f"llama.{key}", number)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * width)
    kinds = {"<unk>": 2, "<s>": 3, "</s>": 3, "<0x0A>": 6}
    kinds |= {word: 3 for word in chain if word.startswith("[")}
    writer.add_token_types([kinds.get(word, 1) for word in words])
    writer.add_bos_token_id(WORDS.index("<s>"))
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    source = np.random.default_rng(7)
    square = (width, width)

    def weights(name: str, value: np.ndarray) -> None:
        writer.add_tensor(f"{name}.weight", value.astype(np.float32))

    following = np.zeros(square)
    for word in range(width):
        letter = words[word]
        known = chain or LETTERS
        after = END if letter == known[-1] else word + 1 if letter in known else 3
        following[after, word] = 8.0
    weights("token_embd", np.eye(width))
    weights("output", source.normal(size=square) if noise else following)
    weights("output_norm", np.ones(width))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        weights(f"blk.0.{name}", source.normal(size=square) if noise else np.zeros(square))
    for name in ("attn_norm", "ffn_norm"):
        weights(f"blk.0.{name}", np.ones(width))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def alphabet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the alphabet model."""
    path = tmp_path_factory.mktemp("models") / "alphabet.gguf"
    write_model(path, noise=False)
    return path


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the random model."""
    path = tmp_path_factory.mktemp("models") / "noise.gguf"
    write_model(path, noise=True)
    return path


@pytest.fixture
def chain(tmp_path: Path) -> Callable[..., Path]:
    """Write a model that says these words, one after the other."""

    def written(*words: str) -> Path:
        write_model(tmp_path / "chain.gguf", noise=False, chain=words)
        return tmp_path / "chain.gguf"

    return written


@pytest.fixture
def split(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Write the random model, so many tensors in a part, and give all parts in order."""

    def parts(each: int) -> list[Path]:
        write_model(tmp_path / "noise.gguf", noise=True, each=each)
        return sorted(tmp_path.glob("noise-*.gguf"))

    return parts


class Stepped(Context):
    """Computes as often as it is let. `codes` are what the next steps return, or raise."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.arrived = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.steps = 0
        self.codes: list[int | Exception] = []
        self.freed = False

    def decode(self) -> int:
        self.arrived.release()
        assert self.gate.acquire(timeout=10)
        self.steps += 1
        code = self.codes.pop(0) if self.codes else super().decode()
        if isinstance(code, Exception):
            raise code
        return code

    def free(self) -> None:
        super().free()
        self.freed = True


class Desk:
    """Submits requests to an engine by name and collects their outputs."""

    def __init__(self, load: Callable[[], Loaded], slots: int, prompt_cache_bytes: int) -> None:
        self.ready: list[Loaded | RbeeError] = []
        self.heard: dict[str, list[Output]] = {}
        self.engine = Engine(load, slots, self._take_ready, self._take, prompt_cache_bytes)
        self._requests: dict[str, Request] = {}
        self._news = asyncio.Event()

    def begin(self, name: str, prompt: str, max_tokens: int = 5, **how: Any) -> None:
        """Ask for an answer: greedy, and with room for all of it, unless said otherwise."""
        room = how.pop("room", len(prompt) + max_tokens)
        form, held = how.pop("form", None), how.pop("held", None)
        inference = InferenceRequest(
            prompt=prompt, max_tokens=max_tokens, **{"temperature": 0, **how}
        )
        self._submit(name, [prompt], inference, room, form, held)

    async def begin_held(self, name: str, prompt: str, grammar: str, **how: Any) -> None:
        """The same for an answer that is held to a grammar."""
        loaded = self.ready[0]
        assert isinstance(loaded, Loaded)
        asked = InferenceRequest(prompt=prompt, grammar=grammar)
        held = await constraint(loaded, asked, None, asyncio.to_thread)
        self.begin(name, prompt, held=held, **how)

    def embed(self, name: str, *texts: str) -> None:
        self._submit(name, texts)

    def cancel(self, name: str) -> None:
        request = self._requests.get(name) or Request(name, time.monotonic())
        self.engine.cancel(request)

    async def stop(self) -> None:
        """Stop the engine, which may still wait to be let: it computes no further step."""
        stopping = asyncio.create_task(self.engine.stop())
        await asyncio.sleep(0)  # it is told before it is let
        self.let()
        await stopping

    def let(self, steps: int = 10_000) -> None:
        """Let the engine compute so many steps; all that come, where nothing is said."""
        self.context.gate.release(steps)

    async def at_step(self, step: int) -> None:
        """Wait until the engine is about to compute that step, and reads its inbox no more."""
        for _ in range(step):
            assert await asyncio.to_thread(self.context.arrived.acquire, timeout=10)

    @property
    def context(self) -> Stepped:
        loaded = self.ready[0]
        assert isinstance(loaded, Loaded)
        assert isinstance(loaded.context, Stepped)
        return loaded.context

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait for news that make it so."""
        async with asyncio.timeout(10):
            while not so():
                self._news.clear()
                await self._news.wait()

    async def opened(self) -> None:
        await self.until(lambda: bool(self.ready))

    async def last(self, name: str) -> Output:
        """What the name's work ends with."""
        parts = Prefill | Token
        await self.until(lambda: name in self.heard and not isinstance(self.heard[name][-1], parts))
        return self.heard[name][-1]

    async def done(self, name: str) -> Done:
        found = await self.last(name)
        assert isinstance(found, Done)
        return found

    async def length(self, name: str, count: int) -> None:
        """Wait until so many tokens of an answer have come."""
        await self.until(lambda: len(self.heard.get(name, [])) >= count)

    def text(self, name: str) -> str:
        return "".join(event.token for event in self.heard[name] if isinstance(event, Token))

    def _take_ready(self, news: Loaded | RbeeError) -> None:
        self.ready.append(news)
        self._news.set()

    def _take(self, outputs: Outputs) -> None:
        for request, output in outputs:
            self.heard.setdefault(request.id, []).append(output)
        self._news.set()

    def _submit(
        self,
        name: str,
        texts: Iterable[str],
        inference: InferenceRequest | None = None,
        room: int = 0,
        form: Form | None = None,
        held: Constraint | None = None,
    ) -> None:
        tokens = [[WORDS.index(letter) for letter in text] for text in texts]
        request = Request(name, time.monotonic(), inference, tokens, room, held, form)
        self._requests[name] = request
        self.engine.submit(request)


@pytest.fixture(scope="session")
def load() -> Load:
    """Load a file for `slots` requests; whoever gets it frees it."""

    def loaded(
        path: Path, tokens: int = 256, slots: int = 4, kind: type[Loaded] = Loaded
    ) -> Loaded:
        model = Model(path, "cpu", 0, True, lambda _: True)
        context = Stepped(model, tokens, slots, 1)
        return kind(read(path), model, context, ChatTemplate({}, {}, Renderers()), 1, 1e-4)

    return loaded


@pytest.fixture
async def desk(alphabet: Path, load: Load) -> AsyncIterator[Open]:
    """Open a desk whose engine loads a model, the alphabet unless another is named. Requests
    submitted before its start are all there at its first step. `kind` is a subclass of Loaded, for
    a test that replaces what an answer or texts are computed with."""
    desks: list[Desk] = []

    def build(
        path: Path = alphabet,
        tokens: int = 256,
        slots: int = 4,
        kind: type[Loaded] = Loaded,
        prompt_cache_bytes: int = 0,
    ) -> Desk:
        desks.append(Desk(lambda: load(path, tokens, slots, kind), slots, prompt_cache_bytes))
        return desks[-1]

    yield build
    for desk in desks:
        if desk.ready and isinstance(desk.ready[0], Loaded):
            desk.let()
        await desk.engine.stop()
