"""Models that answer as they were told, whatever they are asked: for programs that do something
with what a model says, such as calling a tool.

The last token of the prompt is a cue, which decides the answer; the chat template writes one or the
other, by what it sees in the conversation. Each answer is one token, and then the model ends.
Otherwise the vocabulary is the bundled model's, so prompts are as long as they are there.
"""

import struct
import tomllib
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from harness.model_files.bundled import bundled_reader
from harness.model_files.zoo import Key, add_field, byte_letters

_FAMILIES = Path(__file__).with_name("call_families.toml")
_CONTEXT = 65_536
_WIDTH = 64
_END, _NORMAL = "<|im_end|>", 1
# Where in the hidden state it stands that the answer is complete.
_COMPLETE = _WIDTH - 1
_SURE = 8
# Control tokens of the bundled model: without thinking, with it, and after a tool has answered.
_PLAIN, _THINKING, _ANSWERED = "<issue_start>", "<issue_comment>", "<issue_closed>"
_TEMPLATE = (
    "{% if tools %}<tools>{{ tools | tojson }}</tools>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}"
    "<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if messages | selectattr('role', 'equalto', 'tool') | list %}"
    + _ANSWERED
    + "{% elif "
    "enable_thinking %}" + _THINKING + "{% else %}" + _PLAIN + "{% endif %}"
)
# For models that say the same each time, whatever is asked.
_SHORT_TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" + _PLAIN
)
_KEYS: dict[str, Key] = {
    "llama.context_length": _CONTEXT,
    "llama.block_count": 1,
    "llama.embedding_length": _WIDTH,
    "llama.feed_forward_length": _WIDTH,
    "llama.attention.head_count": 1,
    "llama.attention.head_count_kv": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.dimension_count": _WIDTH,
    "general.file_type": int(gguf.LlamaFileType.MOSTLY_F16),
}


def write(path: Path, plain: str, thinking: str, answered: str) -> Path:
    """A model that says `plain`, or `thinking` if it is to think before it answers, or `answered`
    once a tool has answered. Its calls are those of Qwen: JSON in <tool_call>."""
    answers = {_PLAIN: plain, _THINKING: thinking, _ANSWERED: answered}
    return _write(path, answers, _TEMPLATE)


def write_of_family(path: Path, name: str, reasons: bool) -> Path:
    """A model that calls `weather` for Paris as models of that family do, each time. Unless it
    `reasons`, its template does not teach reasoning."""
    families = tomllib.loads(_FAMILIES.read_text(encoding="utf-8"))["family"]
    (family,) = (each for each in families if each["name"] == name)
    known_by = family["template"] + (family.get("reasoning", "") if reasons else "")
    # Nobody need see it.
    return _write(path, {_PLAIN: family["writes"]}, f"{{# {known_by} #}}{_SHORT_TEMPLATE}")


def _write(path: Path, answers: Mapping[str, str], template: str) -> Path:
    """A model that says the answer that belongs to the cue at the end of its prompt."""
    words, merges = _texts("tokens"), _texts("merges")
    kinds = [int(kind) for kind in bundled_reader().fields["tokenizer.ggml.token_type"].contents()]
    embedding = np.zeros((len(words), _WIDTH), np.float16)
    output = np.zeros_like(embedding)
    output[words.index(_END), _COMPLETE] = _SURE
    tokens: dict[str, int] = {}
    for place, (cue, answer) in enumerate(answers.items()):
        # The last tokens are rare words. No two tokens may have one text.
        said = tokens.setdefault(answer, len(words) - 1 - place)
        embedding[words.index(cue), place] = embedding[said, _COMPLETE] = 1
        output[said, place] = _SURE
        words[said] = "".join(byte_letters()[byte] for byte in answer.encode())
        kinds[said] = _NORMAL
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in _KEYS.items():
        add_field(writer, name, value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    writer.add_bos_token_id(words.index("<|im_start|>"))
    writer.add_eos_token_id(words.index(_END))
    writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(_WIDTH, np.float32))
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(_WIDTH, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((_WIDTH, _WIDTH), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _texts(name: str) -> list[str]:
    """The tokens or merges of the bundled model."""
    data = bundled_reader().fields[f"tokenizer.ggml.{name}"].parts[-1].tobytes()
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        found.append(data[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return found
