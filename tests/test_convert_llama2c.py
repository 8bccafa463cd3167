"""The llama2.c converter: same function and same tokens as the original, and plain words for bad files."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scripts import convert_llama2c
from scripts.convert_llama2c import Piece, Shape, build_tokenizer, convert, halves_from_neighbours, read_checkpoint
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from balora.errors import ModelError, OutputError
from tests.support.real import real_path
from tests.support.stories import stories_folder

WORDS = [b"ab", b" a", b" ab", b"cd", b"bc", b"aa", b"aaa"]


def byte_pieces() -> list[Piece]:
    special = [Piece(b"<unk>", 0.0), Piece(b"\n<s>\n", 0.0), Piece(b"\n</s>\n", 0.0)]
    return special + [Piece(b"<0x%02X>" % byte, 0.0) for byte in range(256)]


def small_pieces() -> list[Piece]:
    words = [*WORDS, *(bytes([byte]) for byte in b"abcd ")]
    # Better scores come later, so that the order of the ids is not that of the merges.
    return byte_pieces() + [Piece(word, float(index)) for index, word in enumerate(words)]


def reference_ids(text: str, pieces: list[Piece]) -> list[int]:
    """sentencepiece's byte-pair encoding as it is told: merge the best adjacent pair until none is left."""
    by_content = {piece.content: index for index, piece in enumerate(pieces) if index > 2}
    ids: list[int] = []
    for character in f" {text}" if text else "":
        encoded = character.encode()
        ids += [by_content[encoded]] if encoded in by_content else [byte + 3 for byte in encoded]
    while True:
        joined = [pieces[left].content + pieces[right].content for left, right in pairwise(ids)]
        best = max(
            ((pieces[by_content[both]].score, -place) for place, both in enumerate(joined) if both in by_content),
            default=None,
        )
        if best is None:
            return ids
        place = -best[1]
        ids[place : place + 2] = [by_content[joined[place]]]


def write_checkpoint(path: Path, shape: Shape, *, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    tensors = {name: generator.normal(0, 0.3, dims).astype("<f4") for name, dims in shape.tensors().items()}
    header = [shape.dim, shape.hidden_dim, shape.layers, shape.heads, shape.kv_heads]
    header += [shape.vocabulary if shape.tied else -shape.vocabulary, shape.positions]
    path.write_bytes(struct.pack("<7i", *header) + b"".join(tensor.tobytes() for tensor in tensors.values()))
    return tensors


def write_tokenizer(path: Path, pieces: list[Piece]) -> None:
    longest = max(len(piece.content) for piece in pieces)
    entries = [struct.pack("<fi", piece.score, len(piece.content)) + piece.content for piece in pieces]
    path.write_bytes(struct.pack("<i", longest) + b"".join(entries))


def files(folder: Path, pieces: list[Piece], shape: Shape) -> tuple[Path, Path]:
    write_checkpoint(folder / "model.bin", shape)
    write_tokenizer(folder / "tokenizer.bin", pieces)
    return folder / "model.bin", folder / "tokenizer.bin"


def shape_for(pieces: list[Piece], *, tied: bool = True) -> Shape:
    return Shape(dim=16, hidden_dim=24, layers=2, heads=4, kv_heads=2, vocabulary=len(pieces), positions=32, tied=tied)


def llama2c_logits(tensors: dict[str, np.ndarray], shape: Shape, ids: list[int]) -> np.ndarray:
    """The forward pass of run.c for one sequence, position by position, in float64; the last position's logits."""
    t = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean() + 1e-5) * weight

    def turn(x: np.ndarray, position: int) -> np.ndarray:
        pairs = x.reshape(-1, shape.head_dim // 2, 2)
        angles = position / 10000 ** (np.arange(0, shape.head_dim, 2) / shape.head_dim)
        cos, sin = np.cos(angles), np.sin(angles)
        first, second = pairs[..., 0], pairs[..., 1]
        return np.stack([first * cos - second * sin, first * sin + second * cos], axis=-1).reshape(-1, shape.head_dim)

    keys: list[list[np.ndarray]] = [[] for _ in range(shape.layers)]
    values: list[list[np.ndarray]] = [[] for _ in range(shape.layers)]
    for position, token in enumerate(ids):
        x = t["embedding"][token]
        for layer in range(shape.layers):
            h = norm(x, t["attention_norm"][layer])
            query = turn(t["query"][layer] @ h, position)
            keys[layer].append(turn(t["key"][layer] @ h, position))
            values[layer].append((t["value"][layer] @ h).reshape(-1, shape.head_dim))
            heads = []
            for head in range(shape.heads):
                shared = head // (shape.heads // shape.kv_heads)
                scores = np.array([query[head] @ key[shared] for key in keys[layer]]) / np.sqrt(shape.head_dim)
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                heads.append(sum(w * value[shared] for w, value in zip(weights, values[layer], strict=True)))
            x = x + t["attention_out"][layer] @ np.concatenate(heads)
            h = norm(x, t["feed_forward_norm"][layer])
            gate = t["gate"][layer] @ h
            x = x + t["down"][layer] @ (gate / (1 + np.exp(-gate)) * (t["up"][layer] @ h))
    return t["embedding" if shape.tied else "output"] @ norm(x, t["final_norm"])


@pytest.mark.parametrize("tied", [True, False])
def test_converted_model_computes_what_llama2c_computes(tmp_path: Path, tied: bool) -> None:
    pieces = small_pieces()
    shape = shape_for(pieces, tied=tied)
    tensors = write_checkpoint(tmp_path / "model.bin", shape)
    write_tokenizer(tmp_path / "tokenizer.bin", pieces)
    convert(tmp_path / "model.bin", tmp_path / "tokenizer.bin", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    ids = [1, 260, 265, 262, 268, 40]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].double().numpy()
    np.testing.assert_allclose(logits, llama2c_logits(tensors, shape, ids), rtol=1e-4, atol=1e-4)


def test_halves_from_neighbours_moves_pairs_apart() -> None:
    rows = torch.arange(8.0)[:, None]  # two heads of four rows
    assert halves_from_neighbours(rows, heads=2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def small_tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(small_pieces(), Path("tokenizer.bin"), positions=32)


@given(text=st.text(alphabet="abcd é\n", max_size=20))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merges_like_the_reference(text: str) -> None:
    ids = small_tokenizer()(text, add_special_tokens=False)["input_ids"]
    assert ids == reference_ids(text, small_pieces())


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\N{LOWER ONE EIGHTH BLOCK}")))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    tokenizer = small_tokenizer()
    assume(not any(token in text for token in tokenizer.all_special_tokens))
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_damaged_tokenizer_with_a_piece_twice_is_refused() -> None:
    pieces = small_pieces()
    with pytest.raises(ModelError, match=r"pieces 259 and \d+ are both 'ab'"):
        build_tokenizer([*pieces, pieces[259]], Path("tokenizer.bin"), positions=32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("checkpoint cut", r"model.bin: has \d+ bytes; its header announces \d+"),
        ("checkpoint empty", r"model.bin: 0 bytes are no llama2.c checkpoint"),
        ("checkpoint of another kind", r"model.bin: its first seven numbers .* are no llama2.c header"),
        ("checkpoint missing", r"model.bin: cannot be read"),
        ("tokenizer cut", r"tokenizer.bin: piece \d+ at byte \d+ is cut short"),
        ("tokenizer of another model", r"tokenizer.bin: holds \d+ pieces; the checkpoint has \d+"),
    ],
)
def test_bad_files_are_named_and_nothing_is_written(
    tmp_path: Path, damage: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = small_pieces()
    checkpoint, tokenizer = files(tmp_path, pieces, shape_for(pieces))
    match damage:
        case "checkpoint cut":
            checkpoint.write_bytes(checkpoint.read_bytes()[:-4])
        case "checkpoint empty":
            checkpoint.write_bytes(b"")
        case "checkpoint of another kind":
            checkpoint.write_bytes(b"PK\x03\x04" * 100)
        case "checkpoint missing":
            checkpoint.unlink()
        case "tokenizer cut":
            tokenizer.write_bytes(tokenizer.read_bytes()[:-1])
        case "tokenizer of another model":
            write_tokenizer(tokenizer, byte_pieces())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelError, match=message):
        convert(checkpoint, tokenizer, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before
    assert convert_llama2c.main([str(checkpoint), str(tokenizer), str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert "Traceback" not in shown


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    pieces = small_pieces()
    checkpoint, tokenizer = files(tmp_path, pieces, shape_for(pieces))
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="already holds something"):
        convert(checkpoint, tokenizer, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    pieces = small_pieces()
    checkpoint, tokenizer = files(tmp_path, pieces, shape_for(pieces))
    (tmp_path / "out").mkdir()
    assert convert_llama2c.main([str(checkpoint), str(tokenizer), str(tmp_path / "out")]) == 0
    assert AutoTokenizer.from_pretrained(tmp_path / "out").pad_token == "<unk>"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "out", "tokenizer.bin"]


@pytest.mark.real
def test_the_real_model_tells_its_story(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = stories_folder(tmp_path_factory)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    told = model.generate(torch.tensor([[1]]), max_new_tokens=60, do_sample=False)[0]
    story = tokenizer.decode(told, skip_special_tokens=True)
    assert story.startswith("Once upon a time, there was a little girl named Lily. She loved to play outside")


@pytest.mark.real
@given(text=st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz ABT.,!'\"\n0123é😀"), max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_real_tokenizer_merges_like_the_reference(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(stories_folder(tmp_path_factory))
    path = real_path("models/stories260K/tokenizer.bin")
    pieces = convert_llama2c.read_pieces(path, len(tokenizer))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == reference_ids(text, pieces)
    assert tokenizer.decode(ids) == text


@pytest.mark.real
def test_the_real_checkpoint_has_the_shape_it_is_known_for() -> None:
    shape, _ = read_checkpoint(real_path("models/stories260K/checkpoint_legacy.bin"))
    assert shape == Shape(64, 172, 5, 8, 4, 512, 512, tied=True)
