"""Layers made into step functions with explicit state."""

from keras_seq.backbones.backbone import Backbone
from keras_seq.backbones.recurrent import RecurrentBackbone
from keras_seq.backbones.transformer import TransformerBackbone

__all__ = ["Backbone", "RecurrentBackbone", "TransformerBackbone"]
