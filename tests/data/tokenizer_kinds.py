"""Small tokenizers of the kinds that differ in offsets: byte-level, trimmed offsets, sentence pieces, slow."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

CORPUS = [
    "the quick brown fox jumps over the lazy dog and the cat",
    "### Instruction: say hello ### Response: hello world\n\nagain and again",
    "naïve café 東京 is a city; 1 + 1 = 2",
]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def byte_level(*, trim_offsets: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE as in GPT-2; with trimmed offsets as in RoBERTa."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


def sentence_pieces() -> PreTrainedTokenizerFast:
    """Sentence pieces with byte fallback and a beginning token, as in Llama 2."""
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=[*SPECIAL.values(), *byte_tokens], show_progress=False)
    backend.train_from_iterator(CORPUS[:2] * 4, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


class SlowTokenizer(PreTrainedTokenizer):
    """One token per character, in Python, without offsets; puts a beginning token in front."""

    def __init__(self, **settings: Any) -> None:
        self._ids = {token: index for index, token in enumerate(SPECIAL.values())}
        super().__init__(**{**SPECIAL, **settings})

    @property
    def vocab_size(self) -> int:
        return 4 + 1000

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def _tokenize(self, text: str, **settings: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, 4 + ord(token[0]) % 1000)

    def _convert_id_to_token(self, index: int) -> str:
        return list(SPECIAL.values())[index] if index < 4 else chr(index - 4)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return "".join(tokens)

    def build_inputs_with_special_tokens(self, first: list[int], second: list[int] | None = None) -> list[int]:
        return [self._ids["<s>"], *first, *(second or [])]


KINDS = {
    "byte_level": byte_level,
    "trimmed_offsets": lambda: byte_level(trim_offsets=True),
    "sentence_pieces": sentence_pieces,
    "slow": SlowTokenizer,
}
