"""The run folder: its layout, its record, and how things are written into it without losing anything."""

from balora.artefacts.card import QuantizedBase, changes_in_words, model_card, regularizers_in_words, write_model_card
from balora.artefacts.checkpoints import STATE_OF_TRAINER, list_checkpoints, newest_complete, set_aside, step_of, tidy
from balora.artefacts.confined import check_name, check_no_links
from balora.artefacts.files import write_json_atomically, write_text_atomically
from balora.artefacts.folder import (
    check_free,
    diverged_start,
    holds_nothing_but_a_start,
    lost_checkpoints,
    make_run_folder,
    take_over,
)
from balora.artefacts.lock import signed, sole_use
from balora.artefacts.memory import PeakMemory
from balora.artefacts.record import RunRecord, describe_hardware, read_record, saved_step
from balora.artefacts.record_check import checked_record
from balora.artefacts.settings import OutputSettings
from balora.artefacts.trouble import disk_in_words, disk_trouble

__all__ = [
    "STATE_OF_TRAINER",
    "OutputSettings",
    "PeakMemory",
    "QuantizedBase",
    "RunRecord",
    "changes_in_words",
    "check_free",
    "check_name",
    "check_no_links",
    "checked_record",
    "describe_hardware",
    "disk_in_words",
    "disk_trouble",
    "diverged_start",
    "holds_nothing_but_a_start",
    "list_checkpoints",
    "lost_checkpoints",
    "make_run_folder",
    "model_card",
    "newest_complete",
    "read_record",
    "regularizers_in_words",
    "saved_step",
    "set_aside",
    "signed",
    "sole_use",
    "step_of",
    "take_over",
    "tidy",
    "write_json_atomically",
    "write_model_card",
    "write_text_atomically",
]
