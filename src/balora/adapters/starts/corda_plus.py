"""CorDA++: CorDA with a covariance and a rank chosen for every layer."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from peft.tuners.lora.corda import CordaEigens
from torch import Tensor

from balora.adapters.calibration import needed
from balora.adapters.factors import Factors
from balora.adapters.starts.corda import covariances, eigens_of, peft_config
from balora.adapters.starts.plan import Setting, Start, factors_by_peft, refuse_quantized

DAMPING = 0.01
"""Share of the mean variance that is added to a covariance's diagonal before it is inverted, as in CorDA."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One decomposition of one layer."""

    score: float
    """The lower, the more compact."""
    log_compactness: float
    eigens: CordaEigens
    parameters_per_rank: int
    """in_features + out_features."""


def corda_plus_start(setting: Setting) -> Start:
    """CorDA's factors on the most compact covariance of several, with ranks that follow the same measure.

    The sample is split into `corda_candidates` parts; each gives every layer one covariance, of which it keeps the one
    with the lowest `selection_score`. Then `allocate_ranks` hands out as many parameters as r on every layer has.

    Implemented are the dynamic covariance selection and the dynamic rank allocation. They follow a public transcription
    of the paper's equations 7 to 10 (the paper itself was not at hand), which leaves open: how many covariances there
    are; whether compactness is taken before or after damping (here: after, so that it is finite); what `ipm` allocates
    (here: the mirror image of `kpm`). The paper goes one step over the budget, this stops one step before it.

    Raises:
        ModelError: no sample, quantized weights, or a layer that the sample does not reach.

    Source: arXiv 2506.13187; covariances and decompositions are PEFT's.
    """
    refuse_quantized(setting, "corda++")
    calibration = needed(setting.calibration, "corda++")
    config = peft_config(setting)
    parts = min(setting.config.corda_candidates, len(calibration.rows))
    best: dict[str, Candidate] = {}
    for part in range(parts):
        rows = [calibration.rows[index] for index in range(part, len(calibration.rows), parts)]
        for name, covariance in covariances(setting, calibration, rows).items():
            layer = setting.model.get_submodule(name)
            found = candidate(covariance, eigens_of(layer, covariance, config), sum(layer.weight.shape))
            if name not in best or found.score < best[name].score:
                best[name] = found
    ranks = allocate_ranks(best, setting.config.r, keep_knowledge=setting.config.corda_mode == "kpm")

    def factors(name: str, weight: Tensor, scaling: float) -> Factors:
        eigens = cropped(best.pop(name).eigens, ranks[name], smallest=setting.config.corda_mode == "kpm")
        return factors_by_peft(weight, ranks[name], scaling, config, eigens=eigens)

    return Start(factors, {name: rank for name, rank in ranks.items() if rank != setting.config.r})


def candidate(covariance: Tensor, eigens: CordaEigens, parameters_per_rank: int) -> Candidate:
    """Score one covariance of one layer."""
    compactness = log_compactness(covariance, out_features=eigens.U_WC.shape[0])
    return Candidate(selection_score(compactness, eigens.S_WC), compactness, eigens, parameters_per_rank)


def log_compactness(covariance: Tensor, *, out_features: int) -> float:
    """Log π(C),  π(C) = √(out·σ_max(C)) / σ_min(C), of a covariance with its damped diagonal.

    Args:
        covariance: (in_features, in_features), symmetric, positive semi-definite.
        out_features: of the layer.

    Returns:
        Nats; lower is more compact.
    """
    values = torch.linalg.eigvalsh(covariance.float()).clamp_min(0).double()
    damped = values + DAMPING * covariance.diagonal().double().mean()
    smallest, largest = damped[0].item(), damped[-1].item()
    return 0.5 * math.log(out_features * largest) - math.log(smallest) if smallest > 0 else math.inf


def selection_score(compactness: float, values: Tensor) -> float:
    """Log π(C) · Σ_k σ_k/σ_1 with σ the singular values of W C: low where few directions carry the sample.

    Args:
        compactness: log π(C).
        values: σ, falling.
    """
    top = values[0].item()
    return compactness * (values.double().sum().item() / top) if top > 0 else math.inf


def allocate_ranks(layers: Mapping[str, Candidate], mean_rank: int, *, keep_knowledge: bool) -> dict[str, int]:
    """Ranks by the greedy rule, within the number of parameters that `mean_rank` on every layer has.

        s_l(t) = log π(C_l) · σ_{R−t+1} / Σ_{k ≤ R−t} σ_k          R = min(out, in), σ falling

    is the price of one direction more for the tail of layer l, which has its t smallest already; the cheapest layer
    gives next. With `keep_knowledge` (kpm) the adapter trains the tail: t starts at 1 and grows while the budget
    allows. Without (ipm) it trains the rest, R − t directions: t grows until the budget is met. Every layer keeps a
    rank of at least 1.

    Args:
        layers: layer name -> its chosen covariance and decomposition.
        mean_rank: r.
        keep_knowledge: whether the tail is trained.

    Example:
        >>> eigens = CordaEigens(S_WC=torch.tensor([4.0, 1.0, 1.0]), U_WC=None, V_WC=None)
        >>> layers = {name: Candidate(0.0, 1.0, eigens, parameters_per_rank=4) for name in "ab"}
        >>> allocate_ranks(layers, 2, keep_knowledge=True)
        {'a': 2, 'b': 2}
    """
    budget = mean_rank * sum(layer.parameters_per_rank for layer in layers.values())
    values = {name: layer.eigens.S_WC.double().tolist() for name, layer in layers.items()}
    sums = {name: list(accumulate(falling)) for name, falling in values.items()}
    tails = dict.fromkeys(layers, 1)

    def price(name: str) -> float:
        tail, size = tails[name], len(values[name])
        rest = sums[name][size - tail - 1] if tail < size else 0.0
        if rest == 0:
            # A weight of zeros has nothing to train.
            return math.inf if keep_knowledge else 0.0
        share: float = values[name][size - tail] / rest
        return layers[name].log_compactness * share

    def rank(name: str) -> int:
        return tails[name] if keep_knowledge else max(1, len(values[name]) - tails[name])

    spent = sum(layer.parameters_per_rank * rank(name) for name, layer in layers.items())
    waiting = [(price(name), name) for name in layers]
    heapq.heapify(waiting)
    while waiting:
        cost, name = heapq.heappop(waiting)
        step = layers[name].parameters_per_rank
        done = spent + step > budget if keep_knowledge else spent <= budget
        if done or cost == math.inf:
            break
        if tails[name] >= len(values[name]) - 1:
            continue
        tails[name] += 1
        spent += step if keep_knowledge else -step
        heapq.heappush(waiting, (price(name), name))
    return {name: rank(name) for name in layers}


def cropped(eigens: CordaEigens, rank: int, *, smallest: bool) -> CordaEigens:
    """The decomposition's `rank` largest or smallest directions."""
    kept = slice(-rank, None) if smallest else slice(None, rank)
    # PEFT divides the values in place.
    return CordaEigens(S_WC=eigens.S_WC[kept].clone(), U_WC=eigens.U_WC[:, kept], V_WC=eigens.V_WC[:, kept])
