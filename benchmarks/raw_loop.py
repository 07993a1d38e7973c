"""llama.cpp's low-level API in a bare loop, without HTTP, text or streams: the upper bound.

    python -m benchmarks.raw_loop MODEL SLOTS CONTEXT THREADS PROMPT

prints a line when the model is loaded, and one when it has the first token of the answer.
"""

from __future__ import annotations

import ctypes
import sys
import time

from llama_cpp import llama_cpp as C

from harness.model_files.llama_params import model_params


class RawLoop:
    """Greedy decoding of several prompts in one batch."""

    def __init__(self, model: str, slots: int, context: int, threads: int) -> None:
        self._silence = C.llama_log_callback(lambda *_: None)
        C.llama_log_set(self._silence, ctypes.c_void_p(0))
        C.llama_backend_init()
        self._model = C.llama_model_load_from_file(model.encode(), model_params(C))
        params = C.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = context, slots, True
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = threads
        self._context = C.llama_init_from_model(self._model, params)
        self._batch = C.llama_batch_init(512, 0, 1)
        self._greedy = C.llama_sampler_init_greedy()

    def tokens(self, prompt: str) -> list[int]:
        """The prompt as token ids."""
        vocab = C.llama_model_get_vocab(self._model)
        data = prompt.encode()
        buffer = (C.llama_token * (len(data) + 8))()
        count = C.llama_tokenize(vocab, data, len(data), buffer, len(buffer), True, True)
        return list(buffer[:count])

    def rate(self, prompts: list[str], tokens: int, with_prefill: bool) -> float:
        """Total tokens per second. `with_prefill` also counts the time of the prompts and the first
        token, as a client does that sends several requests at once."""
        C.llama_memory_clear(C.llama_get_memory(self._context), True)
        began = time.perf_counter()
        positions: list[int] = []
        latest: list[int] = []
        for sequence, prompt in enumerate(prompts):
            read = self.tokens(prompt)
            self._decode([(sequence, at, token) for at, token in enumerate(read)])
            positions.append(len(read))
            latest.append(C.llama_sampler_sample(self._greedy, self._context, len(read) - 1))
        if not with_prefill:
            began = time.perf_counter()
        for _ in range(tokens - 1):
            rows = zip(range(len(prompts)), positions, latest, strict=True)
            self._decode(list(rows))
            positions = [at + 1 for at in positions]
            latest = [
                C.llama_sampler_sample(self._greedy, self._context, index)
                for index in range(len(prompts))
            ]
        made = (tokens if with_prefill else tokens - 1) * len(prompts)
        return made / (time.perf_counter() - began)

    def _decode(self, rows: list[tuple[int, int, int]]) -> None:
        batch = self._batch
        batch.n_tokens = len(rows)
        for index, (sequence, position, token) in enumerate(rows):
            batch.token[index], batch.pos[index] = token, position
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
            # The last token of a prompt, but every token of a step.
            batch.logits[index] = index == len(rows) - 1 or rows[0][0] != rows[-1][0]
        if C.llama_decode(self._context, batch) != 0:
            raise SystemExit("llama.cpp could not compute")


def main() -> None:
    """Load, and make one token."""
    model, *numbers, prompt = sys.argv[1:]
    loop = RawLoop(model, *(int(number) for number in numbers))
    print("loaded", flush=True)
    loop.rate([prompt], 1, with_prefill=True)
    print("token", flush=True)


if __name__ == "__main__":
    main()
