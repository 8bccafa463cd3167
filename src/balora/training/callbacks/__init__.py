"""What happens around training steps, one file each."""

from balora.training.callbacks.divergence import DivergenceGuard
from balora.training.callbacks.early_stop import EarlyStop
from balora.training.callbacks.metrics_file import MetricsFile
from balora.training.callbacks.progress import ProgressLine
from balora.training.callbacks.rank_allocation import RankAllocation
from balora.training.callbacks.stop import GracefulStop

__all__ = ["DivergenceGuard", "EarlyStop", "GracefulStop", "MetricsFile", "ProgressLine", "RankAllocation"]
