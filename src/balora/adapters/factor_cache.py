"""Principal factors on disk, found again by the content of the weight they belong to."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from balora.adapters.factors import OVERSAMPLING, Factors, principal_factors
from balora.cache import cache_folder, computed_by_one, count_use, staged_file

FACTORS_FORMAT = "2"
"""Version of the files and of the computation; a change makes older ones unknown."""


class FindFactors(Protocol):
    """`principal_factors`, or something that knows their values already."""

    def __call__(
        self,
        weight: Tensor,
        rank: int,
        *,
        scaling: float,
        svd: Literal["exact", "randomized"],
        iterations: int,
        seed: int,
    ) -> Factors:
        """See `balora.adapters.principal_factors`."""
        ...


def factor_source(*, cached: bool) -> FindFactors:
    """Where factors come from: computed each time, or kept in the folder `factors` of balora's cache."""
    return FactorCache(cache_folder() / "factors") if cached else principal_factors


class FactorCache:
    """Computes principal factors once per weight and settings; later calls, runs and sweeps read them.

    The key is a hash of the weight's values as float32, so a float16 or bfloat16 checkpoint and the same weights in
    float32 share an entry, and any change of a value makes a new one. A file is written beside its name and renamed,
    and carries a checksum: one that is damaged is computed again, with a note in the log. Delete the folder at will.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits, self.misses = 0, 0

    def __call__(
        self,
        weight: Tensor,
        rank: int,
        *,
        scaling: float = 1.0,
        svd: Literal["exact", "randomized"] = "exact",
        iterations: int = 16,
        seed: int = 0,
    ) -> Factors:
        """The factors of `principal_factors` under the same arguments, bitwise those that were computed first.

        A disk that cannot be written costs a note, not the run.
        """
        settings = {"rank": rank, "scaling": float(scaling), "svd": svd}
        if svd == "randomized":
            settings |= {"iterations": iterations, "oversampling": OVERSAMPLING, "seed": seed}
        path = self.path_of(weight, settings)
        # The seed of the exact svd matters only to directions without weight, which hardly any weight has.
        seeded = path if svd == "randomized" else self.seeded_path(path, seed)
        with computed_by_one(path):
            found = read_factors(path) or (read_factors(seeded) if seeded != path else None)
            count_use("factors", found=found is not None)
            if found is not None:
                self.hits += 1
                return Factors(down=found.down.to(weight.device), up=found.up.to(weight.device))
            self.misses += 1
            factors = principal_factors(weight, rank, scaling=scaling, svd=svd, iterations=iterations, seed=seed)
            try:
                write_factors(path if bool(factors.up.any(dim=0).all()) else seeded, factors)
            except (OSError, SafetensorError) as error:
                _log.warning("the factor cache in %s cannot be written (%s); factors are not kept", self.folder, error)
        return factors

    @staticmethod
    def seeded_path(path: Path, seed: int) -> Path:
        """The file of exact factors that some direction without weight makes depend on a seed."""
        return path.with_name(f"{path.stem}-{seed}.safetensors")

    def path_of(self, weight: Tensor, settings: Mapping[str, object]) -> Path:
        """The file of a weight's factors under these settings."""
        digest = hashlib.sha256(f"{FACTORS_FORMAT}:{tuple(weight.shape)}:{sorted(settings.items())}:".encode())
        # Some rows at a time: a float32 copy of a large weight would double the memory.
        for rows in torch.split(weight.detach(), max(1, _HASHED_NUMBERS // max(1, weight.shape[1]))):
            digest.update(rows.float().cpu().contiguous().numpy().data)
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.safetensors"


def read_factors(path: Path) -> Factors | None:
    """The factors in a file; None where there is none, or none that can be trusted."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            factors = Factors(down=file.get_tensor("down"), up=file.get_tensor("up"))
            checksum = (file.metadata() or {}).get("sha256")
        fault = "" if checksum == checksum_of(factors) else "its checksum is another"
    except (OSError, SafetensorError) as error:
        fault = " ".join(str(error).split())
    if fault:
        _log.warning("cached factors in %s are damaged (%s) and are computed again", path, fault)
        return None
    return factors


def write_factors(path: Path, factors: Factors) -> None:
    """Write factors so that a reader never sees half of them.

    Raises:
        OSError: when the folder cannot be written, or is full.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in factors._asdict().items()}
    with staged_file(path) as beside:
        save_file(tensors, beside, metadata={"format": "pt", "sha256": checksum_of(factors)})


def checksum_of(factors: Factors) -> str:
    """SHA-256 over both factors; hex."""
    digest = hashlib.sha256()
    for value in factors:
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


_HASHED_NUMBERS = 1 << 24
_log = logging.getLogger(__name__)
