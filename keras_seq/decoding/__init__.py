"""From a step function to tokens: greedy and sampling, written once for every backbone."""

from keras_seq.decoding.generation import generate
from keras_seq.decoding.sampling import next_token

__all__ = ["generate", "next_token"]
