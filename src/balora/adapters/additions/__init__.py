"""Small trained modules on the outputs of pretrained layers, which can be turned off: bitfit, houlsby, pfeiffer."""

from balora.adapters.additions.addition import Addition, has_additions, named_additions
from balora.adapters.additions.attach import attach_additions, check_additions
from balora.adapters.additions.bitfit import BiasShift
from balora.adapters.additions.bottleneck import Bottleneck
from balora.adapters.additions.load import load_bottlenecks
from balora.adapters.additions.save import BOTTLENECK_CONFIG, BOTTLENECK_WEIGHTS

__all__ = [
    "BOTTLENECK_CONFIG",
    "BOTTLENECK_WEIGHTS",
    "Addition",
    "BiasShift",
    "Bottleneck",
    "attach_additions",
    "check_additions",
    "has_additions",
    "load_bottlenecks",
    "named_additions",
]
