"""Every layer computes in float32, whatever precision the model was trained in."""

import contextlib
from collections.abc import Iterator

import keras

from export.keras_layers.patching import patch_attributes


@contextlib.contextmanager
def float32() -> Iterator[None]:
    """Inside the `with` block layers compute in float32, weights of other precisions cast to it.

    CPU runtimes have few operators for float16 and bfloat16, and fp32 is what parity is proven in.
    """
    policy = keras.dtype_policies.DTypePolicy
    stock = policy.__dict__["compute_dtype"]

    def compute_dtype(self: keras.dtype_policies.DTypePolicy) -> str:
        dtype = stock.fget(self)
        return "float32" if "float" in dtype else dtype

    with patch_attributes([(policy, "compute_dtype", property(compute_dtype))]):
        yield
