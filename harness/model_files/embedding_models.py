"""Embedding models of some hundred kilobytes, of every architecture that llama.cpp has for them.

Shapes and keys are those that llama.cpp asks for; the weights are noise. So the vector of a text
can only be known from llama.cpp itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from harness.model_files.zoo import add_field

WIDTH = 64
OUT = 48
HIDDEN = 96
LAYERS = 2
HEADS = 4
CONTEXT = 2048
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MEAN, CLS, LAST, RANK = 1, 2, 3, 4
_HEAD = WIDTH // HEADS
_EXPERTS = 2
_BUCKETS = 32
_STATE = 16

# Rows first, as numpy has it. A name without an ending is that of weights.
Shapes = Mapping[str, tuple[int, ...]]


def _norms(*names: str) -> Shapes:
    """Layer norms, which have weights and biases."""
    return {f"{name}{end}": (WIDTH,) for name in names for end in ("", ".bias")}


def _with_biases(shapes: Shapes) -> Shapes:
    return {**shapes, **{f"{name}.bias": shape[:1] for name, shape in shapes.items()}}


def _rms(*names: str) -> Shapes:
    return dict.fromkeys(names, (WIDTH,))


_SQUARE = (WIDTH, WIDTH)
_QKV = {"attn_q": _SQUARE, "attn_k": _SQUARE, "attn_v": _SQUARE}
_JOINT = {"attn_qkv": (3 * WIDTH, WIDTH)}
_OUTPUT = {"attn_output": _SQUARE}
_PLAIN = {"ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN)}
_GATED = {**_PLAIN, "ffn_gate": (HIDDEN, WIDTH)}
_GATE_IN_UP = {**_PLAIN, "ffn_up": (2 * HIDDEN, WIDTH)}
_AFTER = _norms("attn_output_norm", "layer_output_norm")
_HEAD_NORMS = {"attn_q_norm": (_HEAD,), "attn_k_norm": (_HEAD,)}
_BEFORE = _rms("attn_norm", "ffn_norm")
_LLAMA = {**_QKV, **_OUTPUT, **_GATED, **_BEFORE}
_BERT_INPUT = {"token_types": (2, WIDTH), **_norms("token_embd_norm")}
_BERT = {**_with_biases({**_QKV, **_OUTPUT, **_PLAIN}), **_AFTER}
_RANK_HEAD = _with_biases({"cls": _SQUARE, "cls.output": (1, WIDTH)})
_OUTPUT_NORM = _rms("output_norm")


@dataclass(frozen=True)
class Kind:
    """`once` and `layer` are its tensors; `first` are those of the first layer, if it differs.
    `keys` are its architecture's, `texts` others. Its words are those of BERT, or letters."""

    architecture: str
    once: Shapes
    layer: Shapes
    keys: Mapping[str, Any] = field(default_factory=dict)
    pooling: int | None = MEAN
    first: Shapes | None = None
    bert_words: bool = False
    block: str = "blk"
    texts: Mapping[str, str] = field(default_factory=dict)


_BERT_ONCE = {**_BERT_INPUT, "position_embd": (CONTEXT, WIDTH)}
_BERT_KIND = Kind("bert", _BERT_ONCE, _BERT, bert_words=True)
_MODERN = Kind(
    "modern-bert",
    {**_rms("token_embd_norm"), **_OUTPUT_NORM},
    {**_JOINT, **_OUTPUT, **_GATE_IN_UP, **_BEFORE},
    {"attention.sliding_window": 16, "rope.freq_base_swa": 10_000.0},
    first={**_JOINT, **_OUTPUT, **_GATE_IN_UP, **_rms("ffn_norm")},
)
_GEMMA = Kind(
    "gemma-embedding",
    _OUTPUT_NORM,
    {**_LLAMA, **_HEAD_NORMS, **_rms("post_attention_norm", "post_ffw_norm")},
    {"attention.sliding_window": 16, "attention.sliding_window_pattern": 2},
)
_QWEN = Kind("qwen3", _OUTPUT_NORM, {**_LLAMA, **_HEAD_NORMS}, pooling=LAST)
_T5_ENCODER = Kind(
    "t5encoder",
    {"enc.output_norm": (WIDTH,), "enc.blk.0.attn_rel_b": (_BUCKETS, HEADS)},
    {**_QKV, "attn_o": _SQUARE, **_PLAIN, **_BEFORE},
    {"attention.relative_buckets_count": _BUCKETS},
    block="enc.blk",
)
_CROSS = {f"cross_attn_{name}": _SQUARE for name in "qkvo"}
_LLAMA_KIND = Kind("llama", _OUTPUT_NORM, _LLAMA)

KINDS: Mapping[str, Kind] = {
    "bert": _BERT_KIND,
    "bert with cls": replace(_BERT_KIND, pooling=CLS),
    "bert without pooling": replace(_BERT_KIND, pooling=None),
    "nomic-bert": Kind(
        "nomic-bert",
        _BERT_INPUT,
        {**_JOINT, **_OUTPUT, **_GATED, **_AFTER},
        {"rope.freq_base": 1000.0},
        bert_words=True,
    ),
    "nomic-bert-moe": Kind(
        "nomic-bert-moe",
        _BERT_INPUT,
        {
            **_with_biases({**_JOINT, **_OUTPUT}),
            **_AFTER,
            "ffn_gate_inp": (_EXPERTS, WIDTH),
            "ffn_up_exps": (_EXPERTS, HIDDEN, WIDTH),
            "ffn_down_exps": (_EXPERTS, WIDTH, HIDDEN),
        },
        {"moe_every_n_layers": 2, "expert_count": _EXPERTS, "expert_used_count": 1},
        first={**_with_biases({**_JOINT, **_OUTPUT, **_PLAIN}), **_AFTER},
        bert_words=True,
    ),
    "jina-bert-v2": Kind(
        "jina-bert-v2",
        _BERT_INPUT,
        {**_with_biases({**_QKV, **_OUTPUT}), **_GATED, "ffn_down.bias": (WIDTH,), **_AFTER},
        bert_words=True,
    ),
    "jina-bert-v3": Kind(
        "jina-bert-v3",
        _BERT_INPUT,
        {**_with_biases({**_JOINT, **_OUTPUT, **_PLAIN}), **_AFTER},
        {"rope.freq_base": 20_000.0},
        bert_words=True,
    ),
    "modern-bert": _MODERN,
    "neo-bert": Kind(
        "neo-bert", {"enc.output_norm": (WIDTH,)}, {**_JOINT, **_OUTPUT, **_GATE_IN_UP, **_BEFORE}
    ),
    "eurobert": replace(_LLAMA_KIND, architecture="eurobert"),
    "gemma-embedding": _GEMMA,
    "gemma-embedding with dense layers": replace(
        _GEMMA,
        once={**_OUTPUT_NORM, "dense_2": (HIDDEN, WIDTH), "dense_3": (WIDTH, HIDDEN)},
        keys={
            **_GEMMA.keys,
            "dense_2_feat_in": WIDTH,
            "dense_2_feat_out": HIDDEN,
            "dense_3_feat_in": HIDDEN,
            "dense_3_feat_out": WIDTH,
        },
    ),
    "llama-embed": replace(_LLAMA_KIND, architecture="llama-embed"),
    "t5encoder": _T5_ENCODER,
    "qwen3 with last": _QWEN,
    "llama": _LLAMA_KIND,
    "llama without pooling": replace(_LLAMA_KIND, pooling=None),
    "llama with cls": replace(_LLAMA_KIND, pooling=CLS),
    "mamba": Kind(
        "mamba",
        _OUTPUT_NORM,
        {
            **_rms("attn_norm"),
            "ssm_in": (4 * WIDTH, WIDTH),
            "ssm_conv1d": (2 * WIDTH, 4),
            "ssm_conv1d.bias": (2 * WIDTH,),
            "ssm_x": (4 + 2 * _STATE, 2 * WIDTH),
            "ssm_dt": (2 * WIDTH, 4),
            "ssm_dt.bias": (2 * WIDTH,),
            "ssm_a": (2 * WIDTH, _STATE),
            "ssm_d": (2 * WIDTH,),
            "ssm_out": (WIDTH, 2 * WIDTH),
        },
        {
            "attention.head_count": 0,
            "ssm.conv_kernel": 4,
            "ssm.inner_size": 2 * WIDTH,
            "ssm.state_size": _STATE,
            "ssm.time_step_rank": 4,
        },
    ),
    "lfm2 with a dense layer": Kind(
        "lfm2",
        {**_rms("token_embd_norm"), "dense_2": (OUT, WIDTH)},
        {**_LLAMA, **_HEAD_NORMS},
        {
            "attention.head_count_kv": [0, HEADS],
            "shortconv.l_cache": 3,
            "embedding_length_out": OUT,
        },
        first={
            **_GATED,
            **_BEFORE,
            "shortconv.conv": (WIDTH, 3),
            "shortconv.in_proj": (3 * WIDTH, WIDTH),
            "shortconv.out_proj": (WIDTH, WIDTH),
        },
    ),
    "llama that looks both ways": replace(_LLAMA_KIND, keys={"attention.causal": False}),
}
RANKERS: Mapping[str, Kind] = {
    "bert ranker": replace(_BERT_KIND, once={**_BERT_KIND.once, **_RANK_HEAD}, pooling=RANK),
    "modern-bert ranker": replace(
        _MODERN,
        once={
            **_MODERN.once,
            "cls": _SQUARE,
            "cls.norm": (WIDTH,),
            **_with_biases({"cls.output": (1, WIDTH)}),
        },
        pooling=RANK,
    ),
    "qwen3 ranker": replace(
        _QWEN,
        once={**_OUTPUT_NORM, "cls.output": (2, WIDTH)},
        keys={"classifier.output_labels": ["yes", "no"]},
        pooling=RANK,
        texts={"tokenizer.chat_template.rerank": "<s>ask {query} of {document}</s>"},
    ),
}
# By diffusion, and with a decoder that works on an encoder's output.
OTHERS: Mapping[str, Kind] = {
    "dream": replace(
        _LLAMA_KIND, architecture="dream", layer={**_with_biases(_QKV), **_LLAMA}, pooling=None
    ),
    "llada": replace(_LLAMA_KIND, architecture="llada", pooling=None),
    "t5": replace(
        _T5_ENCODER,
        architecture="t5",
        once={
            **_T5_ENCODER.once,
            "dec.output_norm": (WIDTH,),
            **{
                f"enc.blk.{layer}.{name}": shape
                for layer in range(LAYERS)
                for name, shape in _T5_ENCODER.layer.items()
            },
            "dec.blk.0.attn_rel_b": (_BUCKETS, HEADS),
        },
        layer={**_T5_ENCODER.layer, **_CROSS, "cross_attn_norm": (WIDTH,)},
        block="dec.blk",
    ),
}


def write(path: Path, kind: Kind, damage: float = 0.0) -> Path:
    """Write a model of this kind. With `damage` its first number, of the last token's row, is
    that."""
    writer = gguf.GGUFWriter(path, kind.architecture)
    own = {
        "block_count": LAYERS,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5,
        **kind.keys,
    }
    if kind.pooling is not None:
        own["pooling_type"] = kind.pooling
    if "token_types" in kind.once:
        writer.add_token_type_count(2)
    for key, value in own.items():
        add_field(writer, f"{kind.architecture}.{key}", value)
    for key, text in kind.texts.items():
        writer.add_string(key, text)
    words = _add_bert_words(writer) if kind.bert_words else _add_letters(writer)
    source = np.random.default_rng(7)

    def tensor(name: str, shape: tuple[int, ...]) -> None:
        name = name if name.endswith((".bias", ".ssm_a", ".ssm_d")) else f"{name}.weight"
        noise = source.normal(size=shape) / (shape[-1] ** 0.5 if len(shape) > 1 else 8)
        if "norm" in name and name.endswith(".weight"):
            noise += 1
        if name.endswith(".ssm_a"):  # a state must fade
            noise = -abs(noise)
        writer.add_tensor(name, noise.astype(np.float32))

    embeddings = source.normal(size=(words, WIDTH))
    if damage:
        embeddings[-1, 0] = damage
    writer.add_tensor("token_embd.weight", embeddings.astype(np.float32))
    for name, shape in kind.once.items():
        tensor(name, shape)
    for layer in range(LAYERS):
        for name, shape in (kind.layer if layer or kind.first is None else kind.first).items():
            tensor(f"{kind.block}.{layer}.{name}", shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_bert_words(writer: gguf.GGUFWriter) -> int:
    """Every letter as a word's beginning and inside it; [CLS] before each text, [SEP] after it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *(f"▁{letter}" for letter in LETTERS), *LETTERS]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in special else 1 for word in words])
    named = {"bos": 2, "eos": 3, "seperator": 3, "unknown": 1, "padding": 0, "mask": 4}
    for name, token in named.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
    return len(words)


def _add_letters(writer: gguf.GGUFWriter) -> int:
    """Every letter and every byte alone; <s> before each text, </s> after it."""
    known = ["<unk>", "<s>", "</s>", *LETTERS]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [*known, *bytes_, "▁"]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types([2, 3, 3, *[1] * len(LETTERS), *[6] * len(bytes_), 1])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(False)
    return len(words)
