"""From a step function to tokens: greedy, sampling and beam search, written once."""

from keras_seq.decoding.beam import NO_CHANCE, Hypothesis, beam_search
from keras_seq.decoding.generation import generate, proceed
from keras_seq.decoding.margins import margins
from keras_seq.decoding.repetition import penalise, penalised, tokens_seen
from keras_seq.decoding.sampling import next_token
from keras_seq.decoding.settings import LEAST_TOP_P, Sampling

__all__ = [
    "LEAST_TOP_P",
    "NO_CHANCE",
    "Hypothesis",
    "Sampling",
    "beam_search",
    "generate",
    "margins",
    "next_token",
    "penalise",
    "penalised",
    "proceed",
    "tokens_seen",
]
