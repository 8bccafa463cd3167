"""Turn a llama2.c checkpoint and its tokenizer.bin into a transformers folder.

    python scripts/convert_llama2c.py CHECKPOINT TOKENIZER OUT_FOLDER

CHECKPOINT is the legacy format: seven int32 (dim, hidden_dim, layers, heads, kv_heads, vocabulary, positions), then
float32 weights; a negative vocabulary size announces an output matrix of its own at the end. TOKENIZER is the matching
tokenizer.bin: the longest piece as int32, then per piece a float32 score, an int32 length and its bytes. Formats:
`run.c`, `export.py` and `tokenizer.py` of karpathy/llama2.c.

OUT_FOLDER must not exist yet, or be empty. It appears complete or not at all.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from balora.errors import InputError, ModelError, OutputError

SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")
"""Ids 0, 1, 2 of every sentencepiece model that llama2.c uses."""
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""How sentencepiece writes a space inside a piece; tokenizer.bin holds plain spaces instead."""
MOST_DIMENSIONS = 2**20
"""A header number above this is taken for a file of another kind."""


@dataclass(frozen=True)
class Shape:
    """The header of a checkpoint."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int
    tied: bool

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape, in the order of the file; matrices are (out, in)."""
        layers, dim, hidden = self.layers, self.dim, self.hidden_dim
        kv_dim = self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {
            "embedding": (self.vocabulary, dim),
            "attention_norm": (layers, dim),
            "query": (layers, dim, dim),
            "key": (layers, kv_dim, dim),
            "value": (layers, kv_dim, dim),
            "attention_out": (layers, dim, dim),
            "feed_forward_norm": (layers, dim),
            "gate": (layers, hidden, dim),
            "down": (layers, dim, hidden),
            "up": (layers, hidden, dim),
            "final_norm": (dim,),
            "rotary_cosines": (self.positions, self.head_dim // 2),
            "rotary_sines": (self.positions, self.head_dim // 2),
        }
        return shapes if self.tied else {**shapes, "output": (self.vocabulary, dim)}


@dataclass(frozen=True)
class Piece:
    """One vocabulary entry: its bytes (spaces are spaces), and its merge score (higher merges first)."""

    content: bytes
    score: float


def read_checkpoint(path: Path) -> tuple[Shape, dict[str, torch.Tensor]]:
    """The header and every tensor of the file.

    Raises:
        ModelError: when it is missing, or not a legacy llama2.c checkpoint of exactly the size its header announces.
    """
    data = _read(path)
    if len(data) < 28:
        raise ModelError.at(path, f"{len(data)} bytes are no llama2.c checkpoint", "give the legacy .bin file")
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = struct.unpack("<7i", data[:28])
    numbers = (dim, hidden, layers, heads, kv_heads, abs(vocabulary), positions)
    if not all(0 < number <= MOST_DIMENSIONS for number in numbers) or dim % heads or heads % kv_heads:
        what = f"its first seven numbers {numbers} are no llama2.c header"
        raise ModelError.at(path, what, "give the legacy format (version 0 of export.py)")
    shape = Shape(dim, hidden, layers, heads, kv_heads, abs(vocabulary), positions, tied=vocabulary > 0)
    sizes = {name: int(np.prod(dimensions)) for name, dimensions in shape.tensors().items()}
    expected = 28 + 4 * sum(sizes.values())
    if len(data) != expected:
        what = f"has {len(data)} bytes; its header announces {expected}"
        raise ModelError.at(path, what, "give the whole file in the legacy float32 format")
    values: NDArray[np.float32] = np.frombuffer(data, dtype="<f4", offset=28)
    tensors, start = {}, 0
    for name, dimensions in shape.tensors().items():
        block = values[start : start + sizes[name]].reshape(dimensions)
        tensors[name] = torch.from_numpy(block.astype(np.float32))
        start += sizes[name]
    return shape, tensors


def read_pieces(path: Path, vocabulary: int) -> list[Piece]:
    """The vocabulary of a tokenizer.bin, by id.

    Raises:
        ModelError: when it is missing, cut short, or holds another number of pieces than the model.
    """
    data = _read(path)
    pieces: list[Piece] = []
    offset = 4
    while offset < len(data):
        header = data[offset : offset + 8]
        score, length = struct.unpack("<fi", header) if len(header) == 8 else (0.0, -1)
        content = data[offset + 8 : offset + 8 + max(length, 0)]
        if length < 0 or len(content) != length:
            what = f"piece {len(pieces)} at byte {offset} is cut short"
            raise ModelError.at(path, what, "give the whole tokenizer.bin")
        pieces.append(Piece(content, score))
        offset += 8 + length
    if len(pieces) != vocabulary:
        what = f"holds {len(pieces)} pieces; the checkpoint has {vocabulary}"
        raise ModelError.at(path, what, "give the tokenizer that belongs to the checkpoint")
    return pieces


def halves_from_neighbours(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows of a query or key matrix (out, in) for transformers' rotary embedding.

    llama2.c turns neighbouring rows of a head as a pair, transformers row i with row i + head_dim/2.
    """
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def build_model(shape: Shape, tensors: dict[str, torch.Tensor]) -> LlamaForCausalLM:
    """The checkpoint as a transformers model in float32."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.dim,
        intermediate_size=shape.hidden_dim,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype=torch.float32,
    )
    state = {"model.embed_tokens.weight": tensors["embedding"], "model.norm.weight": tensors["final_norm"]}
    state["lm_head.weight"] = tensors["embedding" if shape.tied else "output"]
    for layer in range(shape.layers):
        state |= _layer_state(shape, tensors, layer)
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model.eval()


def _layer_state(shape: Shape, tensors: dict[str, torch.Tensor], layer: int) -> dict[str, torch.Tensor]:
    prefix = f"model.layers.{layer}"
    of_layer = {name: tensor[layer] for name, tensor in tensors.items() if tensor.dim() and name in _PER_LAYER}
    of_layer["query"] = halves_from_neighbours(of_layer["query"], shape.heads)
    of_layer["key"] = halves_from_neighbours(of_layer["key"], shape.kv_heads)
    return {f"{prefix}.{_PER_LAYER[name]}.weight": tensor for name, tensor in of_layer.items()}


_PER_LAYER = {
    "attention_norm": "input_layernorm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "attention_out": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "down": "mlp.down_proj",
    "up": "mlp.up_proj",
}
"""Our name -> transformers' module inside a layer."""


def build_tokenizer(pieces: Sequence[Piece], path: Path, positions: int) -> PreTrainedTokenizerFast:
    """A fast tokenizer that merges as sentencepiece does: always the adjacent pair with the best score.

    Characters outside the vocabulary become byte pieces. <unk>, which therefore no text contains, is the padding.

    Raises:
        ModelError: when two pieces are the same.
    """
    texts = [*SPECIAL_TOKENS, *(_text_of(piece) for piece in pieces[len(SPECIAL_TOKENS) :])]
    ids: dict[str, int] = {}
    for index, text in enumerate(texts):
        if text in ids:
            raise ModelError.at(path, f"pieces {ids[text]} and {index} are both {text!r}", "give an undamaged file")
        ids[text] = index
    backend = Tokenizer(models.BPE(ids, _merges(ids, pieces), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
        padding_side="right",
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
    )


def _text_of(piece: Piece) -> str:
    return piece.content.decode("utf-8", errors="replace").replace(" ", SPACE)


def _merges(ids: dict[str, int], pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces, best score first: the order in which byte-pair encoding tries them."""
    splits = [
        (-pieces[ids[left + right]].score, ids[left], ids[right], left, right)
        for text in ids
        for left, right in ((text[:cut], text[cut:]) for cut in range(1, len(text)))
        if left in ids and right in ids
    ]
    return [(left, right) for *_, left, right in sorted(splits)]


def convert(checkpoint: Path, tokenizer: Path, out_folder: Path) -> None:
    """Read both files, then write the folder.

    Raises:
        ModelError: when a file is missing or not what it should be; nothing is written then.
        OutputError: when the folder holds something already, or cannot be written.
    """
    if out_folder.exists() and not (out_folder.is_dir() and not any(out_folder.iterdir())):
        raise OutputError.at(out_folder, "already holds something", "name a folder that does not exist yet")
    shape, tensors = read_checkpoint(checkpoint)
    fast = build_tokenizer(read_pieces(tokenizer, shape.vocabulary), tokenizer, shape.positions)
    model = build_model(shape, tensors)
    out_folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{out_folder.name}-", dir=out_folder.parent))
    try:
        model.save_pretrained(staged)
        fast.save_pretrained(staged)
        # mkdtemp and safetensors write for the owner alone.
        staged.chmod(0o755)
        for path in staged.iterdir():
            path.chmod(0o644)
        staged.replace(out_folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError.at(path, f"cannot be read ({error.strerror})", "check the path") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, convert, and answer with the exit code."""
    parser = argparse.ArgumentParser(description="Turn a llama2.c checkpoint into a transformers folder.")
    parser.add_argument("checkpoint", type=Path, help="legacy checkpoint (.bin, float32)")
    parser.add_argument("tokenizer", type=Path, help="its tokenizer.bin")
    parser.add_argument("out_folder", type=Path, help="folder to make; must not exist yet, or be empty")
    given = parser.parse_args(arguments)
    try:
        convert(given.checkpoint, given.tokenizer, given.out_folder)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(given.out_folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
