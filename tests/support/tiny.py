"""Tiny random models and tokenizers of every family the tests touch; built in milliseconds, never downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

VOCABULARY_SIZE = 96
HIDDEN_SIZE = 32
LAYERS = 2

_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": HIDDEN_SIZE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


_DROPOUTS: dict[str, list[str]] = {
    "bert": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
    "roberta": ["hidden_dropout_prob", "attention_probs_dropout_prob"],
    "deberta": ["hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout"],
    "deberta-v2": ["hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout"],
    "gpt2": ["resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout"],
    "t5": ["dropout_rate", "classifier_dropout"],
    "modernbert": ["attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"],
}

_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_routed_experts": 4}
_LATENT_ATTENTION: dict[str, Any] = {
    "q_lora_rank": 12,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
    "head_dim": 8,
}

_OWN: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 16},
    "qwen2": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {"num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {
        "num_key_value_heads": 2,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 24,
    },
    # One dense block, one with routed and shared experts.
    "deepseek_v2": {
        **_EXPERTS,
        **_LATENT_ATTENTION,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
    "deepseek_v3": {
        **_EXPERTS,
        **_LATENT_ATTENTION,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "n_group": 2,
        "topk_group": 1,
    },
    # As in DeBERTa-v3: positions share the projections of the content.
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
    },
    "deberta": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 1, "sep_token_id": 2},
    "t5": {"d_kv": 8, "decoder_start_token_id": 0},
}
"""What a family's configuration needs beyond the common shape."""


def config(family: str, **changes: Any) -> Any:
    """The tiny configuration of a family by transformers' model_type name; no dropout unless asked for."""
    own = _OWN.get(family, {})
    shape = {**_SHAPE, **dict.fromkeys(_DROPOUTS.get(family, []), 0.0), **own, **changes}
    if family == "gpt2":
        names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
        names |= {"max_position_embeddings": "n_positions", "intermediate_size": "n_inner"}
        shape = {names.get(key, key): value for key, value in shape.items()}
    if family == "t5":
        names = {"hidden_size": "d_model", "num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"}
        names |= {"intermediate_size": "d_ff"}
        shape = {names.get(key, key): value for key, value in shape.items() if key != "max_position_embeddings"}
    if family == "roberta":
        shape["max_position_embeddings"] += 2
    return transformers.AutoConfig.for_model(family, **shape)


def build(family: str, head: str = "causal_lm", seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A tiny model in float32 and evaluation mode; head is causal_lm, seq2seq_lm or sequence_classification."""
    makers: dict[str, Any] = {
        "causal_lm": transformers.AutoModelForCausalLM,
        "seq2seq_lm": transformers.AutoModelForSeq2SeqLM,
        "sequence_classification": transformers.AutoModelForSequenceClassification,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = makers[head].from_config(config(family, **changes), dtype=torch.float32)
        # transformers' own start makes every logit nearly 0; larger weights make gaps visible.
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name.lower():
                torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def random_ids(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    """Token ids without special tokens, (rows, length)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY_SIZE, (rows, length), generator=generator)


def character_tokenizer(*, padding_side: str = "right", chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """One token per printable character, plus <pad>, <s>, </s>, <unk>; needs VOCABULARY_SIZE + 4 ids at most."""
    characters = [chr(code) for code in range(32, 32 + VOCABULARY_SIZE - 4)]
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *characters])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace("\n", " ")
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side=padding_side,
        model_max_length=64,
    )
    tokenizer.chat_template = chat_template
    return tokenizer


FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "llama": lambda **kw: build("llama", **kw),
    "gpt2": lambda **kw: build("gpt2", **kw),
    "bert": lambda **kw: build("bert", "sequence_classification", **kw),
    "roberta": lambda **kw: build("roberta", "sequence_classification", **kw),
    "deberta-v2": lambda **kw: build("deberta-v2", "sequence_classification", **kw),
    "t5": lambda **kw: build("t5", "seq2seq_lm", **kw),
}
"""One representative model per family named in the issues, by a short id for readable test names."""
