"""Where the factors begin: one module per start, each giving ranks and factors layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from balora.adapters.starts.corda import corda_start
from balora.adapters.starts.corda_plus import corda_plus_start
from balora.adapters.starts.eva import check_inputs, eva_start
from balora.adapters.starts.lora_ga import check_width, lora_ga_start
from balora.adapters.starts.minor import minor_start
from balora.adapters.starts.olora import olora_start
from balora.adapters.starts.plan import Setting, Start

STARTS: Mapping[str, Callable[[Setting], Start]] = MappingProxyType(
    {
        "minor": minor_start,
        "olora": olora_start,
        "corda": corda_start,
        "corda++": corda_plus_start,
        "lora_ga": lora_ga_start,
        "eva": eva_start,
    }
)
"""A method's `start` -> what computes it, before an adapter is attached; `zero` and `principal` need no plan."""

CHECKS: Mapping[str, Callable[[Setting], None]] = MappingProxyType({"lora_ga": check_width, "eva": check_inputs})
"""A start -> what finds out from shapes alone, before weights are loaded, that it cannot be computed."""
