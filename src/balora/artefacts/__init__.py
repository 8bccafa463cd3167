"""The run folder: its layout, its record, and how things are written into it without losing anything."""

from balora.artefacts.card import QuantizedBase, model_card, regularizers_in_words, write_model_card
from balora.artefacts.checkpoints import STATE_OF_TRAINER, list_checkpoints, newest_complete, set_aside, step_of, tidy
from balora.artefacts.confined import check_name, check_no_links
from balora.artefacts.files import write_json_atomically, write_text_atomically
from balora.artefacts.folder import check_free, holds_nothing_but_a_start, make_run_folder
from balora.artefacts.lock import signed, sole_use
from balora.artefacts.memory import PeakMemory
from balora.artefacts.record import RunRecord, describe_hardware, read_record
from balora.artefacts.settings import OutputSettings
from balora.artefacts.trouble import disk_in_words, disk_trouble

__all__ = [
    "STATE_OF_TRAINER",
    "OutputSettings",
    "PeakMemory",
    "QuantizedBase",
    "RunRecord",
    "check_free",
    "check_name",
    "check_no_links",
    "describe_hardware",
    "disk_in_words",
    "disk_trouble",
    "holds_nothing_but_a_start",
    "list_checkpoints",
    "make_run_folder",
    "model_card",
    "newest_complete",
    "read_record",
    "regularizers_in_words",
    "set_aside",
    "signed",
    "sole_use",
    "step_of",
    "tidy",
    "write_json_atomically",
    "write_model_card",
    "write_text_atomically",
]
