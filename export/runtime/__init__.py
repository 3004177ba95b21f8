"""Loads a bundle and calls it, on a machine without TensorFlow or Keras."""

from export.runtime.loaded import RUNTIMES, LoadedBundle, is_installed, load

__all__ = ["RUNTIMES", "LoadedBundle", "is_installed", "load"]
