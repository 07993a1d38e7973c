"""How large a header may be, each limit with what real models have.

Some bytes of a hostile file can claim terabytes. A limit that spans several files covers all parts
of a split model together. Memory and time are bounded while the header is read: texts that nobody
needs are passed over, and of any other at most a kilobyte is kept, of a chat template a megabyte.

llama.cpp is given a file only when its header is within them. It may still refuse the file, or end
its process, which is the worker's; with 16,384 names it is busy for about a second.
"""

from __future__ import annotations

import msgspec

# The largest vocabularies have 260,000 words, with their merges, scores and types 15 MB.
HEADER_BYTES = 128 << 20
# Models have 30 to 60 fields, each part of a split one three.
FIELDS = 4_096
# The longest keys have some 60 bytes.
KEY_BYTES = 256
# A text or an array. A chat template has up to 100 KB, a tokenizer's own JSON file 30 MB.
VALUE_BYTES = 64 << 20
# What is kept of a text, or it is left out: names have some 100 bytes.
KEPT_BYTES = 1_024
# The same for a chat template, which may be as long as a chapter.
TEMPLATE_BYTES = 1 << 20
# Words and merges: 260,000 and 520,000. Each takes at least 8 bytes.
TEXTS = 4_000_000
# DeepSeek and Kimi have 1,100; llama.cpp compares each name with every other.
TENSORS = 16_384
# llama.cpp takes 63 bytes.
TENSOR_NAME_BYTES = 256
DIMENSIONS = 4
# More can't be counted in 64 bits.
ELEMENTS = 1 << 62
# 32, or a page of memory.
ALIGNMENT = 65_536
# The largest models come in a hundred parts.
PARTS = 1_000
# Seconds: a slow disk brings 15 MB in one.
WITHIN_S = 60.0


class TooMuch(Exception):
    """A limit is exceeded; the text says which."""


class Allowance(msgspec.Struct):
    """What is left for the parts of a model that are still to be read."""

    header_bytes: int = HEADER_BYTES
    fields: int = FIELDS
    texts: int = TEXTS
    tensors: int = TENSORS

    def take_fields(self, count: int) -> None:
        self.fields -= at_most(count, self.fields, "fields", FIELDS)

    def take_texts(self, count: int) -> None:
        self.texts -= at_most(count, self.texts, "texts in its arrays", TEXTS)

    def take_tensors(self, count: int) -> None:
        self.tensors -= at_most(count, self.tensors, "tensors", TENSORS)


def at_most(count: int, left: int, what: str, limit: int | None = None) -> int:
    """`count`, if that much is left of the `limit`; by default all of it is. Raises TooMuch."""
    whole = left if limit is None else limit
    if count > left:
        raise TooMuch(f"it has more than {whole} {what}: {whole - left + count}")
    return count
