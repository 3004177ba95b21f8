"""Loads a bundle and calls it, on a machine without TensorFlow or Keras."""

from export.runtime.loaded import LoadedBundle, load

__all__ = ["LoadedBundle", "load"]
