"""Reads Keras 2 models, and makes Keras 3 models of them that give the same numbers.

`tf_keras`, which is Keras 2 for today's TensorFlow, reads a file in any form that Keras 2 wrote. A
Keras 3 model is then built from what it read, call by call, and both are asked the same random
inputs. What is then known of a model, such as masks, streams and ONNX nodes, is known of Keras 3's.

    configs      old configurations in the words of the last Keras 2
    files        a file, a folder or a JSON of Keras 2 as a `tf_keras` model
    custom       a user's own layers, written for Keras 3, inside a `tf_keras` model
    convert      the Keras 3 model
    layers       a layer of Keras 2 as one of Keras 3
    operators    an operator of TensorFlow between layers, as a layer
    activations  functions that mean something else in Keras 3
    proof        the answers of both

Importing this package registers the layers and functions of ours that a converted model may have,
so that `keras.saving.load_model` knows them. It doesn't import `tf_keras`.
"""

from keras_seq.keras2.activations import hard_sigmoid_keras2
from keras_seq.keras2.attention import MultiHeadAttentionKeras2
from keras_seq.keras2.locally_connected import LocallyConnected1D
from keras_seq.keras2.operators import Operator
from keras_seq.keras2.thresholded_relu import ThresholdedReLU

__all__ = [
    "LocallyConnected1D",
    "MultiHeadAttentionKeras2",
    "Operator",
    "ThresholdedReLU",
    "hard_sigmoid_keras2",
]


def __dir__() -> list[str]:
    return sorted(__all__)
