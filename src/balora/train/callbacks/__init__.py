"""What happens around training steps, one file each."""

from balora.train.callbacks.divergence import DivergenceGuard
from balora.train.callbacks.metrics_file import MetricsFile
from balora.train.callbacks.progress import ProgressLine

__all__ = ["DivergenceGuard", "MetricsFile", "ProgressLine"]
