"""Spectral: keep the batch's logit matrix near low rank (equations 7 and 11), against overfitting to noise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from balora.losses.eigen import eigenpairs
from balora.losses.precision import outside_autocast
from balora.losses.reduction import valid_rows

Center = Literal["none", "batch", "batch_and_class"]

_GRAM_BLOCK_ELEMENTS = 1 << 22


def resolve_spectral_k(k: float, rows: int, columns: int) -> int:
    """How many singular values count: k itself, or for a share 0 < k < 1 that part of min(rows, columns), at least 1.

    >>> resolve_spectral_k(0.3, 8, 32000), resolve_spectral_k(10, 8, 3)
    (2, 3)
    """
    smaller = min(rows, columns)
    wanted = int(k * smaller) if 0 < k < 1 else int(k)
    return max(1, min(wanted, smaller))


def center_rows(rows: Tensor, center: Center) -> Tensor:
    """Subtract nothing, the mean row, or the mean row and each row's own mean, (M, D) -> (M, D)."""
    if center == "none":
        return rows
    rows = rows - rows.mean(dim=0)
    return rows if center == "batch" else rows - rows.mean(dim=1, keepdim=True)


def _gram(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """M·Mᵀ in `dtype`, (m, n) -> (m, m), in blocks of columns so that no second copy of a wide matrix is made."""
    block = max(1, _GRAM_BLOCK_ELEMENTS // matrix.shape[0])
    gram = matrix.new_zeros(matrix.shape[0], matrix.shape[0], dtype=dtype)
    for start in range(0, matrix.shape[1], block):
        wide = matrix[:, start : start + block].to(dtype)
        gram.addmm_(wide, wide.T)
    return gram


def top_singular_values(rows: Tensor, k: int) -> Tensor:
    """The k largest singular values, descending, (M, D) -> (k,), with the exact first-order gradient.

    The singular vectors of the smaller side come from its Gram matrix in float64, without gradient; then
    σ_i = ‖u_iᵀZ‖. Its derivative is u_i v_iᵀ as it should be, and an error in u_i enters σ_i only squared.
    """
    count, columns = rows.shape
    with torch.no_grad():
        # MPS has no float64; there the vectors carry float32 error, the values still only its square.
        precise = torch.float32 if rows.device.type == "mps" else torch.float64
        gram = _gram(rows.detach() if count <= columns else rows.detach().T, precise)
        vectors = eigenpairs(gram)[1][:, -k:].flip(-1).to(rows.dtype)
    projected = vectors.T @ rows if count <= columns else (rows @ vectors).T
    values: Tensor = torch.linalg.vector_norm(projected, dim=1)
    return values


@outside_autocast
def spectral_share(logits: Tensor, *, k: float, mask: Tensor | None = None, center: Center = "none") -> Tensor:
    """Minus the share of the k largest singular values in the sum of all (equation 7).

        − Σ_{i≤k} σ_i / Σ_j σ_j,   σ the singular values of Z

    Args:
        logits: (..., D) with gradient.
        k: how many values count; a share below 1 is taken of min(N, D).
        mask: (...), boolean, True where the row counts.
        center: subtract the mean row (`batch`), or also each row's mean (`batch_and_class`), first; not in the paper.

    Returns:
        Scalar between −1 and 0, invariant to the scale of Z. With k >= min(N, D) the share is 1 whatever Z is: the
        value is exactly −1 and the gradient exactly 0 (every GLUE task at the paper's k = 5). Centring takes one row
        (and one class) away from N (and D). Otherwise no rows or Z = 0 give 0.

    Raises:
        ValueError: on a mask that does not fit.

    Example:
        >>> spectral_share(torch.diag(torch.tensor([3.0, 1.0])), k=1).item()
        -0.75

    Source: arXiv 2408.04556, equation 7. Depends on the batch as a whole, as `covariance_diversity` does.
    """
    rows = center_rows(valid_rows(logits, mask), center)
    count, columns = rows.shape
    if count == 0:
        return rows.sum() * 0.0
    if min(centered_shape(count, columns, center)) < 1:
        return rows.sum() * 0.0
    if spectral_share_is_constant(k, count, columns, center):
        return rows.sum() * 0.0 - 1.0
    values = top_singular_values(rows, min(count, columns))
    total = values.sum().clamp_min(torch.finfo(rows.dtype).tiny)
    return -values[: resolve_spectral_k(k, count, columns)].sum() / total


def centered_shape(rows: int, columns: int, center: Center) -> tuple[int, int]:
    """How many dimensions centring leaves to rows and columns.

    >>> centered_shape(8, 3, "batch_and_class")
    (7, 2)
    """
    return rows - (center != "none"), columns - (center == "batch_and_class")


def spectral_share_is_constant(k: float, rows: int, columns: int, center: Center = "none") -> bool:
    """Whether (7) is the same for every matrix of this shape: k reaches the smaller side that centring leaves."""
    smaller = min(centered_shape(rows, columns, center))
    return smaller < 1 or resolve_spectral_k(k, rows, columns) >= smaller


@outside_autocast
def spectral_concentration(logits: Tensor, *, k: float, mask: Tensor | None = None, center: Center = "none") -> Tensor:
    """Minus the sum of the k largest singular values over the Frobenius norm (equation 11).

        − Σ_{i≤k} σ_i / ‖Z‖_F,   Z the logits of the valid tokens

    Args:
        logits: (..., V) with gradient.
        k: how many values count; a share below 1 is taken of min(M, V).
        mask: (...), boolean, True where the token counts.
        center: as in `spectral_share`.

    Returns:
        Scalar between −√k and 0, invariant to the scale of Z: −1 for a matrix of rank 1, −√k only for k equal
        singular values. No valid token or Z = 0 give 0.

    Raises:
        ValueError: on a mask that does not fit.

    Example:
        >>> spectral_concentration(torch.diag(torch.tensor([3.0, 4.0])), k=1).item()
        -0.800000011920929

    Source: arXiv 2408.04556, equation 11. Differs from the paper in: exact singular values where the paper uses a
    randomised SVD. Depends on the batch as a whole.
    """
    rows = center_rows(valid_rows(logits, mask), center)
    if rows.shape[0] == 0:
        return rows.sum() * 0.0
    values = top_singular_values(rows, resolve_spectral_k(k, *rows.shape))
    norm: Tensor = torch.linalg.vector_norm(rows).clamp_min(torch.finfo(rows.dtype).tiny)
    return -values.sum() / norm


@outside_autocast
def spectral_share_and_variance(
    logits: Tensor, *, k: float, variance_weight: float, mask: Tensor | None = None, center: Center = "none"
) -> Tensor:
    """Minus share and variance of the top singular values (first version, generation).

        − ( Σ_{i≤k} σ_i / Σ_j σ_j + α · Var(σ_1 … σ_k) )

    Args:
        logits: (..., V) with gradient.
        k: how many values count; the first version keeps a share of 0.3.
        variance_weight: α; the paper gives no value.
        mask: (...), boolean, True where the token counts.
        center: as in `spectral_share`.

    Returns:
        Scalar, at most 0; not scale-invariant because of the variance. No valid token gives 0.

    Raises:
        ValueError: on a mask that does not fit.

    Source: arXiv 2408.04556v1, equation 12; the population variance. The prose says the variance term smooths, yet
    its sign rewards more variance; we keep the formula.
    """
    rows = center_rows(valid_rows(logits, mask), center)
    count, columns = rows.shape
    if count == 0:
        return rows.sum() * 0.0
    values = top_singular_values(rows, min(count, columns))
    top = values[: resolve_spectral_k(k, count, columns)]
    share = top.sum() / values.sum().clamp_min(torch.finfo(rows.dtype).tiny)
    return -(share + variance_weight * top.var(correction=0))
