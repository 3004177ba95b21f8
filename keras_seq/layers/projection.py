"""Projections of one input, as attention projects it to queries, keys and values."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_seq.layers.lowering import get_lowering
from keras_seq.typing import Tensor

Weights = tuple[Any, Any]  # a kernel (D, nh, hs), and a bias (nh, hs) or None


def project(x: Tensor, *groups: Sequence[Weights]) -> list[Tensor]:
    """Projects `x` by each group of weights, concatenating the products of a group.

    Args:
        x: `(B, D)` or `(B, T, D)`.
        *groups: Kernels `(D, nh, hs)` with their biases `(nh, hs)` or None.

    Returns:
        For each group `(…, nh · hs)`, summed over its kernels.
    """
    if not get_lowering().fuse_projections:
        return [_concatenate([_product(x, [weights]) for weights in group]) for group in groups]
    whole = _product(x, [weights for group in groups for weights in group])
    if len(groups) == 1:
        return [whole]
    widths = [sum(_width(kernel) for kernel, _ in group) for group in groups]
    ends = [sum(widths[: i + 1]) for i in range(len(widths) - 1)]
    return ops.split(whole, ends, axis=len(x.shape) - 1)


def _product(x: Tensor, group: Sequence[Weights]) -> Tensor:
    kernels = [ops.reshape(kernel, (kernel.shape[0], _width(kernel))) for kernel, _ in group]
    x = ops.matmul(x, _concatenate(kernels))
    biases = [ops.reshape(bias, (-1,)) for _, bias in group if bias is not None]
    return x + _concatenate(biases) if biases else x


def _concatenate(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


def _width(kernel: Any) -> int:
    return kernel.shape[1] * kernel.shape[2]
