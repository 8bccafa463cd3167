"""Where reference outputs come from, and the check that they are the pretrained model's."""

from balora.teacher.cached import CachedTeacher, build_cached_teacher
from balora.teacher.linear_probe import ProbeResult, fit_linear_probe
from balora.teacher.live import (
    FrozenCopyTeacher,
    LiveTeacher,
    Teacher,
    UntrainedTeacher,
    evaluation_mode,
    transformers_model,
)
from balora.teacher.sampling import draw_sequences
from balora.teacher.self_check import check_adapter_start, check_agreement, probe_inputs, probe_logits
from balora.teacher.settings import TeacherSettings

__all__ = [
    "CachedTeacher",
    "FrozenCopyTeacher",
    "LiveTeacher",
    "ProbeResult",
    "Teacher",
    "TeacherSettings",
    "UntrainedTeacher",
    "build_cached_teacher",
    "check_adapter_start",
    "check_agreement",
    "draw_sequences",
    "evaluation_mode",
    "fit_linear_probe",
    "probe_inputs",
    "probe_logits",
    "transformers_model",
]
