"""The models of a run, each made when the first scenario asks for it."""

import tempfile
from functools import cached_property
from pathlib import Path

from gguf import LlamaFileType

from harness.model_files import broken, bundled
from harness.model_files.bundled import bundled_path, bundled_reader
from harness.model_files.reference_decoder import ReferenceDecoder
from harness.model_files.synthetic import write_model


class ModelFiles:
    """Models that are made once in a run, when the first scenario asks, and then only read."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rbee-models-")
        self._root = Path(self._folder.name)

    @cached_property
    def large(self) -> Path:
        """1.4 GB in memory: loading it takes long enough to be watched."""
        return write_model(self._root / "large.gguf", layers=22, width=1536, hidden=4096)

    @cached_property
    def enormous(self) -> Path:
        """Some 350 GB: more than this machine has."""
        return write_model(self._root / "enormous.gguf", layers=200, width=8192, hidden=28672)

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
        """A file of this size: a true header, as many whole tensors as fit, then holes."""
        path = self._root / f"sized-{size}.gguf"
        if not path.exists():
            width, hidden = 2048, 8192
            layer = 2 * (4 * width * width + 3 * width * hidden)
            layers = (size - 300_000_000) // layer
            assert layers > 0, f"{size} bytes are too few for a model of this shape"
            write_model(path, layers, width, hidden)
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
        """A model with one thing wrong; `what` is a name of broken.py."""
        path = self._root / f"{what.replace(' ', '-')}.gguf"
        if not path.exists():
            broken.write_broken(path, what, bundled_reader(), bundled_path())
        return path

    def quantized(self, quantization: str) -> Path:
        """The bundled model as Q4_K_M, Q5_K_M or Q8_0."""
        path = self._root / f"smollm2-{quantization}.gguf"
        if not path.exists():
            bundled.quantize(bundled_path(), path, quantization)
        return path

    def small(self, variety: str = "F16") -> Path:
        """16 MB that are quick to fetch and never asked for an answer.

        If the variety is a quantization, the header says so. Each variety has its own content.
        """
        path = self._root / f"small-{variety.replace(' ', '-')}.gguf"
        if not path.exists():
            kind = getattr(LlamaFileType, f"MOSTLY_{variety}", LlamaFileType.MOSTLY_F16)
            write_model(path, layers=1, width=128, hidden=512, kind=kind, noise=variety)
        return path

    @cached_property
    def parts(self) -> list[Path]:
        """The bundled model in three files."""
        return bundled.split(bundled_reader(), self._root / "parts" / "smollm2.gguf")

    @cached_property
    def reference_decoder(self) -> ReferenceDecoder:
        """The bundled model, loaded by the harness itself."""
        return ReferenceDecoder(bundled_path())

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
        if "reference_decoder" in vars(self):
            self.reference_decoder.close()
        self._folder.cleanup()
