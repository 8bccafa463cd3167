"""The run folder: its layout, its record, and how things are written into it without losing anything."""

from balora.artefacts.card import model_card, regularizers_in_words, write_model_card
from balora.artefacts.files import finite_or_null, write_json_atomically, write_text_atomically
from balora.artefacts.folder import check_free, check_resumable, list_checkpoints, make_run_folder
from balora.artefacts.memory import PeakMemory
from balora.artefacts.record import RunRecord, describe_hardware
from balora.artefacts.settings import OutputSettings

__all__ = [
    "OutputSettings",
    "PeakMemory",
    "RunRecord",
    "check_free",
    "check_resumable",
    "describe_hardware",
    "finite_or_null",
    "list_checkpoints",
    "make_run_folder",
    "model_card",
    "regularizers_in_words",
    "write_json_atomically",
    "write_model_card",
    "write_text_atomically",
]
