"""Make the pictures that checks attach with `student.show`: small, finite, rounded, and free of hidden inputs.

What a submission answers may be anything: whatever cannot be drawn gives None, and the check goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from autograder.results import AttentionPicture, CurvePicture, Numbers, PatchPicture

MOST_CELLS = 16
"""Rows and columns of a picture, at most."""
MOST_EPOCHS = 100
GREATEST = 1e6
"""Numbers beyond it are cut off there."""
SAME = 5e-4
"""Attention weights that differ less look alike."""

NumPyArray = np.ndarray[Any, np.dtype[Any]]


def attention_picture(got: object, right: NumPyArray) -> AttentionPicture | None:
    """Return the worst of the batch's attention weights beside the right ones; None if no difference would show.

    Args:
        got: What the submission answered.
        right: The right weights, `(..., queries, keys)`.
    """
    if not _is_drawable(got) or got.ndim < 2 or not got.size:
        return None
    ours, theirs = _as_matrices(right), _as_matrices(got)
    worst = 0
    if ours.shape == theirs.shape:
        apart = np.nan_to_num(np.abs(ours - theirs), nan=GREATEST, posinf=GREATEST).max(axis=(1, 2))
        worst = int(apart.argmax())
        if apart[worst] < SAME:
            return None
    return AttentionPicture(got=_rows(theirs[worst]), right=_rows(ours[worst]))


def patch_picture(got: object, right: NumPyArray, columns: int) -> PatchPicture | None:
    """Return which patches of the first wrong image are wrong; None if none is, or their shape is another.

    Args:
        got: What the submission answered.
        right: The right patches, `(batch, patches, patch_dim)`; no two pixels of an image may be equal.
        columns: Patches in one row of the image.
    """
    if not _is_drawable(got) or got.shape != right.shape or right.shape[1] > MOST_CELLS**2:
        return None
    for theirs, ours in zip(got.astype(np.float32), right.astype(np.float32), strict=True):
        wrong = tuple(not np.array_equal(patch, right_patch) for patch, right_patch in zip(theirs, ours, strict=True))
        if any(wrong):
            places = {np.sort(patch).tobytes(): place for place, patch in enumerate(ours)}
            origins = tuple(places.get(np.sort(patch).tobytes()) for patch in theirs)
            return PatchPicture(columns=columns, wrong=wrong, origins=origins)
    return None


def curve_picture(history: object, names: Sequence[str]) -> CurvePicture | None:
    """Return these curves of a Keras history; None if it holds none of them.

    Args:
        history: What the submission answered: names to a number for each epoch.
        names: The curves to draw.
    """
    if not isinstance(history, dict):
        return None
    curves = {name: _curve(history[name]) for name in names if isinstance(history.get(name), tuple)}
    curves = {name: values for name, values in curves.items() if any(value is not None for value in values)}
    return CurvePicture(curves=curves) if curves else None


def _is_drawable(got: object) -> TypeGuard[NumPyArray]:
    """Whether these are real numbers, and not zeros alone, of which there is nothing to see."""
    if not isinstance(got, np.ndarray):
        return False
    return any(np.issubdtype(got.dtype, kind) for kind in (np.floating, np.integer)) and bool(got.any())


def _as_matrices(weights: NumPyArray) -> NumPyArray:
    """Return attention weights of any batch shape as (matrices, queries, keys)."""
    return weights.reshape(-1, *weights.shape[-2:]).astype(np.float64)


def _rows(matrix: NumPyArray) -> tuple[Numbers, ...]:
    return tuple(tuple(map(_number, row)) for row in matrix[:MOST_CELLS, :MOST_CELLS])


def _curve(values: tuple[object, ...]) -> Numbers:
    return tuple(_number(value) if isinstance(value, float) else None for value in values[:MOST_EPOCHS])


def _number(value: float) -> float | None:
    """Return a number as pictures hold it: finite, bounded, with four decimals."""
    if not np.isfinite(value):
        return None
    return round(float(min(max(value, -GREATEST), GREATEST)), 4)
