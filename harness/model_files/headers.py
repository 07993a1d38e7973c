"""What a GGUF file says of itself, as the `gguf` package reads it: a second opinion."""

from dataclasses import dataclass

from gguf import GGUFReader, LlamaFileType


@dataclass(frozen=True)
class Facts:
    architecture: str
    quantization: str
    layers: int
    context_length: int
    vocabulary_size: int
    eos_token_id: int


def facts(reader: GGUFReader) -> Facts:
    def number(key: str) -> int:
        return int(reader.fields[key].contents())

    architecture = str(reader.fields["general.architecture"].contents())
    kind = LlamaFileType(number("general.file_type")).name
    return Facts(
        architecture=architecture,
        quantization=kind.removeprefix("MOSTLY_").removeprefix("ALL_"),
        layers=number(f"{architecture}.block_count"),
        context_length=number(f"{architecture}.context_length"),
        vocabulary_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        eos_token_id=number("tokenizer.ggml.eos_token_id"),
    )
