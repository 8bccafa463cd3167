"""Which pretrained model and tokenizer to load, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from balora.settings import Settings


class ModelSettings(Settings):
    """The pretrained model that is fine-tuned."""

    aliases: ClassVar[Mapping[str, str]] = {
        "model_name_or_path": "name_or_path",
        "name": "name_or_path",
        "path": "name_or_path",
        "tokenizer_name_or_path": "tokenizer",
        "tokenizer_name": "tokenizer",
        "torch_dtype": "dtype",
    }

    name_or_path: str
    """Hub id or local folder of the pretrained model."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    tokenizer: str | None = None
    """Hub id or folder of the tokenizer, when it is not the model's own."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the frozen weights; `auto` keeps the checkpoint's own."""
    attn_implementation: str | None = None
    """Attention backend by transformers' name: eager, sdpa, flash_attention_2, ..."""
    quantization: Literal["nf4", "int8", "torchao_int8"] | None = None
    """Bits of the frozen linear layers of the body: nf4 (4 bits) and int8 with bitsandbytes, torchao_int8 with torchao
    (`pip install 'balora[quant]'`). Heads, poolers and embeddings keep `dtype`; adapters train in float32."""
    quantization_compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """nf4: number format that a layer's weights are unpacked to for its product; `auto` takes that of `dtype`."""
    double_quantization: bool = False
    """nf4: quantize the scales too, which saves 0.37 bits per weight."""
    router_aux_loss_coef: float | None = Field(default=None, ge=0)
    """Mixtures of experts: weight of the loss that keeps experts evenly used; 0: without it. Left out: the model's own
    weight where its configuration sets `output_router_logits`, else without it."""

    @field_validator("quantization", mode="before")
    @classmethod
    def _name_the_four_bits_there_are(cls, value: Any) -> Any:
        if str(value).lower() in {"int4", "torchao_int4", "4bit", "fp4"}:
            raise ValueError(f"quantization is '{value}'; PEFT trains on torchao's 8 bits only: for 4 bits write nf4")
        return value
