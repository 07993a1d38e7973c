"""What prompt lookup gains: guessing the next tokens from the text so far, without a draft model.

    python -m benchmarks.speculation [--rounds 5]

The tokens that followed the last occurrence of the newest two are decoded in one batch with the
newest, and kept as far as the sampler agrees. A bare greedy loop runs with and without guesses,
interleaved, on several kinds of text. `per step` is the number of tokens per batch; `wrong` is the
share of steps whose guess was entirely wrong. The worker does not use prompt lookup: see
docs/decisions/0009-no-speculation.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from benchmarks.main_job import bundled
from benchmarks.peers import THREADS
from rbee.contract.tasks import InferenceRequest
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model
from rbee.worker.model.sampling import Sampler

TOKENS = 128
LONGEST = 8
LONGEST_PAUSE = 16
CODE = "def area(width, height):\n    return width * height\n\n"
TEXTS = {
    "a story": "Write a short story about a lighthouse keeper.",
    "an explanation": "Explain in detail how a steam engine works and who built the first one.",
    "a list": "List the planets and their moons.",
    "a letter": "Write a formal letter of complaint about a late train.",
    "a poem": "Write a poem about rain on a tin roof.",
    "a dialogue": "Write a dialogue between a farmer and a robot.",
    "code": "Write a Python class for a bank account with tests.",
    "code to repeat": f"Repeat this code three times:\n{CODE * 3}",
}


class Lookup:
    """Guesses how a text goes on. `extend` it with the tokens that came, and `judge` each guess:
    guesses begin with one token, grow while they are right, and pause after wrong ones."""

    def __init__(self, text: Sequence[int]) -> None:
        self._text: list[int] = []
        self._after: dict[tuple[int, int], int] = {}
        self._length = 1
        self._pause = 0
        self._next_pause = 1
        self.extend(text)

    def extend(self, tokens: Sequence[int]) -> None:
        """Append the next tokens of the text."""
        for token in tokens:
            if len(self._text) > 1:
                # The pair before this token, so that the end of the text never finds itself.
                self._after[self._text[-2], self._text[-1]] = len(self._text)
            self._text.append(token)

    def guess(self, most: int) -> list[int]:
        """Up to `most` tokens that may come next; often none."""
        at = self._after.get((self._text[-2], self._text[-1])) if len(self._text) > 1 else None
        if at is None or most < 1:
            return []
        if self._pause:
            self._pause -= 1
            return []
        return self._text[at : at + min(self._length, most)]

    def judge(self, guessed: int, right: int) -> None:
        """Adapt to how many of the guessed tokens were right."""
        if right == guessed:
            self._length = min(self._length * 2, LONGEST)
            self._next_pause = 1
        elif right == 0:
            self._length = 1
            self._pause = self._next_pause
            self._next_pause = min(self._next_pause * 2, LONGEST_PAUSE)
        else:
            self._length = right


class Loop:
    """A greedy loop, with and without guesses."""

    def __init__(self) -> None:
        self._model = Model(bundled(), "cpu", 0, True, lambda _: True)
        self._context = Context(self._model, 2048, 1, THREADS)
        greedy = InferenceRequest(prompt="-", temperature=0, ignore_eos=True)
        self._greedy = Sampler(self._model, greedy)

    def run(self, prompt: str, longest: int) -> tuple[float, float, float]:
        """Tokens per second of the decode, tokens per step, and the share of steps with a wrong
        guess."""
        context = self._context
        context.forget(0)
        chat = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        text = self._model.tokenize(chat)
        lookup = Lookup(text)
        context.clear_batch()
        (index,) = context.add(0, 0, text, outputs=1)
        context.decode()
        held = len(text)
        newest = self._greedy.sample(context, index)
        lookup.extend([newest])
        began, steps, made, wrong = time.perf_counter(), 0, 0, 0
        while made < TOKENS:
            guess = lookup.guess(longest)
            rows = [newest, *guess]
            context.clear_batch()
            right = 0
            indexes = context.add(0, held, rows, outputs=len(rows))
            context.decode()
            for at in indexes:
                newest = self._greedy.sample(context, at)
                lookup.extend([newest])
                held, made = held + 1, made + 1
                if guess[right : right + 1] != [newest]:
                    break
                right += 1
            if guess:
                lookup.judge(len(guess), right)
                context.forget(0, held)
            steps, wrong = steps + 1, wrong + (bool(guess) and right == 0)
        return made / (time.perf_counter() - began), made / steps, wrong / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    loop = Loop()
    ratios = []
    for name, prompt in TEXTS.items():
        plain, guessed = [], []
        for _ in range(rounds):
            plain.append(loop.run(prompt, 0))
            guessed.append(loop.run(prompt, LONGEST))
        ratio = statistics.median(b[0] / a[0] for a, b in zip(plain, guessed, strict=True))
        ratios.append(ratio)
        rate = statistics.median(row[0] for row in plain)
        _, per_step, wrong = guessed[0]
        print(
            f"{name:16}{rate:7.1f} tokens/s   {ratio:5.2f} × with guesses   "
            f"{per_step:4.2f} per step   {wrong:4.0%} wrong",
            flush=True,
        )
    print(f"\nmedian ratio of all texts: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
