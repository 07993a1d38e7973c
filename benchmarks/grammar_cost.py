"""What a grammar costs, side by side with llama.cpp's own.

    python -m benchmarks.grammar_cost --rounds 5

The bundled model answers the same prompt freely, under a schema by llguidance, and under the same
schema by llama.cpp's grammar sampler, in turn. llama.cpp's is asked as its own server asks it: the
token is chosen first, and only if the grammar refuses it, all tokens are tried. The same follows
for a vocabulary of 150,000 words, in a model of one layer: there only the time for choosing counts.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from llama_cpp.llama_grammar import json_schema_to_gbnf

from benchmarks.main_job import bundled
from benchmarks.peers import THREADS
from rbee.contract.tasks import Sampling
from rbee.worker.model import gbnf, grammar
from rbee.worker.model.bindings import C
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model
from rbee.worker.model.sampling import Sampler

TOKENS = 96
LARGE = 150_000
PROMPT = "<|im_start|>user\nTell me of ten animals, in JSON.<|im_end|>\n<|im_start|>assistant\n"
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "legs": {"type": "integer"},
            "wild": {"type": "boolean"},
            "eats": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "legs", "wild", "eats"],
        "additionalProperties": False,
    },
    "minItems": 10,
}

Choose = Callable[[Context, int], int]


class LlamaGrammar:
    """llama.cpp's grammar sampler beside a chain."""

    def __init__(self, model: Model, request: Sampling, text: str) -> None:
        vocab = C.llama_model_get_vocab(model.handle)
        self._free = Sampler(model, request)
        self._grammar = C.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        assert self._grammar, "llama.cpp refuses the grammar"
        self._one = (C.llama_token_data * 1)()
        size = model.vocabulary_size
        self._all = (C.llama_token_data * size)()
        kind = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._table = np.frombuffer(self._all, dtype=kind)
        self._table["id"] = np.arange(size)

    def __call__(self, context: Context, index: int) -> int:
        token = self._free.sample(context, index)
        self._one[0] = C.llama_token_data(token, 1.0, 0.0)
        self._apply(self._one, 1)
        if self._one[0].logit == -float("inf"):
            row = context.logits(index)
            self._table["logit"] = row
            self._apply(self._all, len(row))
            row[:] = self._table["logit"]
            token = self._free.sample(context, index)
        C.llama_sampler_accept(self._grammar, token)
        return token

    def _apply(self, data: Any, count: int) -> None:
        tokens = C.llama_token_data_array(data, count, -1, False)
        C.llama_sampler_apply(self._grammar, ctypes.byref(tokens))


def run(model: Model, context: Context, choose: Choose) -> tuple[float, float, float]:
    """Tokens per second of an answer, and milliseconds a token of this thread, computing: all,
    and for choosing. Other work on the machine moves the first figure most."""
    context.forget(0)
    context.clear_batch()
    prompt = model.tokenizer.tokenize(PROMPT, 512)
    [index] = context.add(0, 0, prompt, outputs=1)
    context.decode()
    chosen_s, made, began, computed = 0.0, 0, time.perf_counter(), time.thread_time()
    while made < TOKENS:
        at = time.thread_time()
        token = choose(context, index)
        chosen_s += time.thread_time() - at
        made += 1
        if model.is_end(token):
            break
        context.clear_batch()
        [index] = context.add(0, len(prompt) + made - 1, [token], outputs=1)
        context.decode()
    computed_s = time.thread_time() - computed
    rate = made / (time.perf_counter() - began)
    return rate, computed_s / made * 1000, chosen_s / made * 1000


def compare(model: Model, rounds: int) -> None:
    """Print the medians of so many answers of each kind."""
    context = Context(model, 1024, 1, THREADS)
    text = json_schema_to_gbnf(json.dumps(SCHEMA))
    began = time.perf_counter()
    asyncio.run(model.grammars.compile(grammar.of_schema(SCHEMA), "schema"))
    first_s = time.perf_counter() - began
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(rounds):
        request = Sampling(prompt="-", temperature=0.7, seed=seed, ignore_eos=True)
        held = Sampling(prompt="-", temperature=0.7, seed=seed)
        of_schema = asyncio.run(model.grammars.compile(grammar.of_schema(SCHEMA), "schema"))
        of_gbnf = asyncio.run(model.grammars.compile(gbnf.to_lark(text), "grammar"))
        kinds: dict[str, Choose] = {
            "no grammar": Sampler(model, request).sample,
            "schema, llguidance": Sampler(model, held, of_schema).sample,
            "GBNF, llguidance": Sampler(model, held, of_gbnf).sample,
            "GBNF, llama.cpp": LlamaGrammar(model, held, text),
        }
        for name, choose in kinds.items():
            found.setdefault(name, []).append(run(model, context, choose))
    print(f"{model.vocabulary_size} words; the first schema was compiled in {first_s:.2f} s")
    for name, all_of_them in found.items():
        rate, all_ms, chosen_ms = map(statistics.median, zip(*all_of_them, strict=True))
        print(f"  {name:22}{rate:8.1f} tokens/s{all_ms:9.2f} ms, of it{chosen_ms:6.2f} to choose")
    context.free()


def write_large(path: Path) -> None:
    """A model of noise, with the byte tokens of a Llama and random words."""
    source, width = random.Random(5), 64
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = {"<unk>": 2, "<s>": 3, "</s>": 3}
    words |= {f"<0x{byte:02X}>": 6 for byte in range(256)}
    words |= dict.fromkeys('{}[]:,"0123456789.-\\', 1)
    while len(words) < LARGE:
        word = "".join(source.choices(letters, k=source.randint(1, 9)))
        words.setdefault(source.choice(["", "▁", '"', '":▁"', '▁"']) + word, 1)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(words))
    writer.add_token_scores([0.0] * LARGE)
    writer.add_token_types(list(words.values()))
    writer.add_eos_token_id(2)
    noise = np.random.default_rng(5)
    square = (width, width)
    shapes = {"token_embd": (LARGE, width), "output_norm": (width,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{name}"] = square
    shapes |= {"blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", noise.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(rounds: int) -> None:
    """Measure and print."""
    model = Model(bundled(), "cpu", 0, True, lambda _: True)
    compare(model, rounds)
    model.free()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.gguf"
        write_large(path)
        large = Model(path, "cpu", 0, True, lambda _: True)
        compare(large, rounds)
        large.free()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
