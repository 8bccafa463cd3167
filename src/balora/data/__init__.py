"""Examples in, token ids and labels out: sources, columns, formats, labels, prompts, masking, batches."""

from balora.data.collate import Collator, make_collator, positions
from balora.data.corruption import Change, Corruption, Repetition, SplitCorruption
from balora.data.corruption_settings import CorruptSettings
from balora.data.encode import encode
from balora.data.encoded import EncodedData
from balora.data.encoded_cache import encode_once
from balora.data.examples import (
    Conversation,
    Example,
    LabelledText,
    Message,
    PromptedText,
    SourceRecord,
    SplitName,
    TextData,
    TextSplit,
)
from balora.data.load import USUAL_METRICS, load_text_data
from balora.data.presets import Preset, preset_named, preset_names
from balora.data.preview import Sample, preview, sample_row
from balora.data.settings import DataSettings
from balora.data.truncation import SplitLengths

__all__ = [
    "USUAL_METRICS",
    "Change",
    "Collator",
    "Conversation",
    "CorruptSettings",
    "Corruption",
    "DataSettings",
    "EncodedData",
    "Example",
    "LabelledText",
    "Message",
    "Preset",
    "PromptedText",
    "Repetition",
    "Sample",
    "SourceRecord",
    "SplitCorruption",
    "SplitLengths",
    "SplitName",
    "TextData",
    "TextSplit",
    "encode",
    "encode_once",
    "load_text_data",
    "make_collator",
    "positions",
    "preset_named",
    "preset_names",
    "preview",
    "sample_row",
]
