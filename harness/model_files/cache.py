"""The models of a run, each made when the first scenario asks for it."""

import fcntl
import math
import os
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import psutil
from gguf import GGUFReader, LlamaFileType

from harness.model_files import broken, bundled, embedding_models, scripted, zoo
from harness.model_files.bundled import bundled_path, bundled_reader
from harness.model_files.package_wheels import write_wheels
from harness.model_files.reference_decoder import ReferenceDecoder
from harness.model_files.reference_vectors import ReferenceVectors
from harness.model_files.synthetic import write_model
from harness.model_files.templates import TEMPLATES

LARGE_LAYERS = 22


class ModelFiles:
    """Models that are made once in a run, when the first scenario asks, and then only read.

    The parts of a run that go on beside each other share a folder, which then is not theirs to
    remove.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._own = None if shared else tempfile.TemporaryDirectory(prefix="rbee-models-")
        self._root = shared or Path(self._own.name if self._own else "")
        self._reference_vectors: dict[Path, ReferenceVectors] = {}

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the file or folder `name`, which `make` writes if nobody has yet."""
        path, unfinished = self._root / name, self._root / "unfinished" / name
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                unfinished.parent.mkdir(exist_ok=True)
                make(unfinished)
                unfinished.rename(path)
        return path

    @property
    def large(self) -> Path:
        """1.4 GB in memory: loading it takes long enough to be watched."""
        return self._made("large.gguf", self.write_large)

    def write_large(self, path: Path) -> Path:
        return write_model(path, LARGE_LAYERS, width=1536, hidden=4096)

    @property
    def enormous(self) -> Path:
        """Some 350 GB: more than this machine has."""
        return self._made(
            "enormous.gguf", lambda path: write_model(path, layers=200, width=8192, hidden=28672)
        )

    @property
    def truncated(self) -> Path:
        whole = bundled_path()
        half = whole.stat().st_size // 2
        return self._made(
            "truncated.gguf", lambda path: path.write_bytes(whole.read_bytes()[:half])
        )

    @property
    def no_gguf(self) -> Path:
        text = "milk, bread, two light bulbs\n" * 100
        return self._made("shopping-list.gguf", lambda path: path.write_text(text))

    @property
    def safetensors(self) -> Path:
        content = (2).to_bytes(8, "little") + b"{}"
        return self._made("model.safetensors", lambda path: path.write_bytes(content))

    def sized(self, size: int) -> Path:
        """A file of this size: a true header, as many whole tensors as fit, then holes."""
        width, hidden = 2048, 8192
        layer = 2 * (4 * width * width + 3 * width * hidden)
        layers = (size - 300_000_000) // layer
        assert layers > 0, f"{size} bytes are too few for a model of this shape"

        def make(path: Path) -> None:
            write_model(path, layers, width, hidden)
            os.truncate(path, size)

        return self._made(f"sized-{size}.gguf", make)

    @cached_property
    def larger_than_what_is_free(self) -> Path:
        """It needs more memory than is free when it is first named, and less than this machine
        has."""
        memory = psutil.virtual_memory()
        needed = (memory.available + memory.total) / 2
        return self.sized(int(needed / 1.2 / 1_000_000) * 1_000_000)

    @property
    def missing(self) -> Path:
        return self._root / "nowhere.gguf"

    @property
    def other_name(self) -> Path:
        """A good model that is not called .gguf."""
        return self._made("model.bin", lambda path: path.symlink_to(bundled_path()))

    def broken(self, what: str) -> Path:
        """A model with one thing wrong; `what` is a name of broken.py."""
        return self._made(
            f"{what.replace(' ', '-')}.gguf",
            lambda path: broken.write_broken(path, what, bundled_reader(), bundled_path()),
        )

    def quantized(self, quantization: str) -> Path:
        """The bundled model as Q4_K_M, Q5_K_M or Q8_0."""
        return self._made(
            f"smollm2-{quantization}.gguf",
            lambda path: bundled.quantize(bundled_path(), path, quantization),
        )

    def small(self, variety: str = "F16") -> Path:
        """16 MB that are quick to fetch and never asked for an answer.

        If the variety is a quantization, the header says so. Each variety has its own content.
        """
        kind = getattr(LlamaFileType, f"MOSTLY_{variety}", LlamaFileType.MOSTLY_F16)
        return self._made(
            f"small-{variety.replace(' ', '-')}.gguf",
            lambda path: write_model(
                path, layers=1, width=128, hidden=512, kind=kind, noise=variety
            ),
        )

    def that_splits_as(self, family: str) -> Path:
        """A small model without weights, whose texts are split by the rules of another family."""
        return self._made(
            f"splits-as-{family}.gguf",
            lambda path: write_model(path, layers=1, width=128, hidden=512, pre=family),
        )

    def with_template(self, kind: str) -> Path:
        """A small model with one of the chat templates of templates.py. It answers with noise."""
        return self._made(
            f"{kind}.gguf",
            lambda path: write_model(
                path, 1, width=64, hidden=64, noise=kind, template=TEMPLATES[kind]
            ),
        )

    @property
    def not_numbers(self) -> Path:
        """A tiny model that computes NaN."""
        return self._made(
            "not-numbers.gguf",
            lambda path: zoo.write(path, "llama", spoiled="blk.1.ffn_down.weight"),
        )

    @property
    def crashing(self) -> Path:
        """A tiny model whose header is plausible, and which aborts llama.cpp while it loads."""
        return self._made(
            "crashing.gguf",
            lambda path: zoo.write(path, "dots1", keys={"expert_gating_func": 9}),
        )

    @property
    def unloadable(self) -> Path:
        """A tiny model whose header is plausible, and whose tensors llama.cpp does not expect."""
        return self._made(
            "unloadable.gguf",
            lambda path: zoo.write(path, "llama", keys={"attention.head_count_kv": 4}),
        )

    @property
    def one(self) -> Path:
        """A tiny model that answers; `other` answers something else."""
        return self._made("one.gguf", lambda path: zoo.write(path, "llama"))

    @property
    def other(self) -> Path:
        return self._made("other.gguf", lambda path: zoo.write(path, "qwen3"))

    @property
    def that_reasons(self) -> Path:
        """A tiny model whose template begins the answer with reasoning, which has no end."""
        said = "{% for message in messages %}{{ message.content }}{% endfor %}"
        template = said + "{{ '<think>\\n' }}"
        return self._made(
            "that-reasons.gguf", lambda path: zoo.write(path, "llama", template=template)
        )

    @property
    def that_thinks(self) -> Path:
        """It reasons "Hm." before it answers "Yes.", if it is to think."""
        return self._made(
            "that-thinks.gguf",
            lambda path: scripted.write(path, "Yes.", "<think>\nHm.\n</think>\n\nYes.", "Yes."),
        )

    @property
    def that_calls(self) -> Path:
        """It asks for the weather in Rome, and then says that it rains there."""
        call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
        return self._made(
            "that-calls.gguf",
            lambda path: scripted.write(
                path, call, f"<think>\nHm.\n</think>\n\n{call}", "It rains in Rome."
            ),
        )

    @property
    def parts(self) -> list[Path]:
        """The bundled model in three files."""

        def make(folder: Path) -> None:
            bundled.split(GGUFReader(bundled_path()), folder / "smollm2.gguf")

        return sorted(self._made("parts", make).iterdir())

    @property
    def wheels(self) -> Path:
        """A folder with wheels of the installed packages that rbee needs."""
        return self._made("wheels", write_wheels)

    @cached_property
    def reference_decoder(self) -> ReferenceDecoder:
        """The bundled model, loaded by the harness itself."""
        return ReferenceDecoder(bundled_path())

    def that_calls_as(self, family: str, reasons: bool) -> Path:
        """A model that calls a function as that family does, by its name in call_families.toml.
        Unless it `reasons`, it is not taught to."""
        name = f"calls-as-{family.replace(' ', '-')}-{reasons}.gguf"
        return self._made(name, lambda path: scripted.write_of_family(path, family, reasons))

    def for_vectors(self, name: str) -> Path:
        """A tiny model for vectors or scores, by its name in embedding_models.py. A damaged one
        makes NaN of its last word."""
        kinds = {**embedding_models.KINDS, **embedding_models.RANKERS}
        damage = math.nan if name.startswith("damaged ") else 0.0
        return self._made(
            f"{name.replace(' ', '-')}.gguf",
            lambda path: embedding_models.write(path, kinds[name.removeprefix("damaged ")], damage),
        )

    def reference_vectors(self, path: Path) -> ReferenceVectors:
        """A model for vectors or scores, loaded by the harness itself."""
        if path not in self._reference_vectors:
            self._reference_vectors[path] = ReferenceVectors(path)
        return self._reference_vectors[path]

    def named(self, name: str) -> Path:
        """The model that a feature calls `name`, as in `<large>` or `<no gguf>`."""
        if name.removeprefix("damaged ") in {**embedding_models.KINDS, **embedding_models.RANKERS}:
            return self.for_vectors(name)
        if name in broken.NAMES:
            return self.broken(name)
        if name == "bundled":
            return bundled_path()
        if name.startswith("small"):
            return self.small(name.removeprefix("small").strip() or "F16")
        if name in TEMPLATES:
            return self.with_template(name)
        if name.startswith("splits as "):
            return self.that_splits_as(name.removeprefix("splits as "))
        if name.startswith("Q"):
            return self.quantized(name)
        path: Path = getattr(self, name.replace(" ", "_"))
        return path

    def close(self) -> None:
        if "reference_decoder" in vars(self):
            self.reference_decoder.close()
        for reference in self._reference_vectors.values():
            reference.close()
        if self._own:
            self._own.cleanup()
