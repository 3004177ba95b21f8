"""Fourier transforms against NumPy and Keras, in files without complex numbers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from benchmarks.coverage_ops import Apply
from export import formats
from tests.export.helpers import assert_exports

X = np.random.default_rng(0).normal(size=(2, 6, 20)).astype("float32")


def test_transforms_of_any_size(tmp_path):
    x = keras.Input((6, 20), name="x")
    outputs = [
        Apply(function, name)(x)
        for name, function in {
            "real": lambda a: ops.rfft(a),
            "padded": lambda a: ops.rfft(a, 32),
            "inverse": lambda a: ops.irfft(ops.rfft(a), 20),
            "complex": lambda a: ops.fft((a, a * 2)),
            "both_axes": lambda a: ops.fft2((a, ops.sin(a))),
            "frames": lambda a: ops.stft(a, 6, 3, 8, window="hamming"),
            "bare": lambda a: ops.stft(a, 8, 4, 8, window=None, center=False),
        }.items()
    ]
    assert_exports(keras.Model(x, outputs), tmp_path / "b", {"x": X}, atol=5e-5)


@pytest.mark.parametrize("size", [pytest.param(64, marks=pytest.mark.full), 50])
def test_a_mel_spectrogram(tmp_path, size):
    wave = keras.Input((400,), name="wave")
    layer = layers.MelSpectrogram(size, 25, sampling_rate=2000, num_mel_bins=8)
    waves = np.random.default_rng(1).normal(size=(1, 400)).astype("float32")
    assert_exports(keras.Model(wave, layer(wave)), tmp_path / "b", {"wave": waves}, atol=2e-3)
    operators = formats.module("onnx").operators(tmp_path / "b")
    assert operators["DFT"] == 1


def test_numpy_agrees():
    from export.keras_layers import fourier

    for mine, expected in (
        (fourier.fft((X, X * 0)), np.fft.fft(X)),
        (fourier.fft2((X, X * 0)), np.fft.fft2(X)),
        (fourier.rfft(X, 15), np.fft.rfft(X, 15)),
    ):
        np.testing.assert_allclose(mine[0], expected.real, atol=1e-4)
        np.testing.assert_allclose(mine[1], expected.imag, atol=1e-4)
    spectrum = np.fft.rfft(X, 15)
    whole = fourier.irfft((spectrum.real.astype("float32"), spectrum.imag.astype("float32")), 15)
    np.testing.assert_allclose(whole, X[..., :15], atol=1e-5)
