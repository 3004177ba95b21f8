"""Errors that Keras raises inside a model, as refusals that name the layer."""

import contextlib
from collections.abc import Iterator

import keras

from export.formats.layers import record_scopes
from export.keras_layers import loops, ordering, products, scopes
from export.keras_layers.patching import patch_attributes
from keras_seq.errors import UserError, quote_error


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Lets errors inside layers pass as they are; Keras writes the layer's arguments into them."""
    before = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if before:
            keras.config.enable_traceback_filtering()


# Functions of Keras that fail in a graph of open sizes, and ours don't.
TRACEABLE = (*loops.RULES, *ordering.RULES, *products.RULES)


@contextlib.contextmanager
def explain_failure(model: keras.Model) -> Iterator[None]:
    """Names the layer in which tracing a model fails inside the `with` block.

    Raises:
        UserError: Instead of any other error.
    """
    with plain_errors(), patch_attributes((*scopes.RULES, *TRACEABLE)), record_scopes() as record:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            layer = record.describe(record.failed or "") or f"the model {model.name!r}"
            raise UserError(
                f"{layer[0].upper()}{layer[1:]} cannot be traced as a graph, which a file holds: "
                f"{describe_error(error)}"
            ) from error


def describe_error(error: Exception) -> str:
    """Returns the class of an error and what it says, in one line."""
    return f"{type(error).__name__}: {quote_error(error)}."
