"""One model in several files, written by the `gguf` package's own splitting."""

from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

_TENSORS_A_PART = 100


def make(whole: GGUFReader, path: Path) -> list[Path]:
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
    return sorted(path.parent.glob(f"{path.stem}-*.gguf"))
