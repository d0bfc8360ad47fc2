"""The demo's network: handwritten digits, trained on the spot and quantised to INT8."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from golden.gemm import check_integer, check_range
from golden.mlp import QuantizedLayer
from golden.quantize import quantize, scale_of

TEST_IMAGES = 360
HIDDEN_LAYERS = (64, 32)
MAX_PIXEL = 16.0


@dataclass(frozen=True, eq=False)
class DigitsNetwork:
    """A quantised digits classifier with the images it never saw.

    Attributes
    ----------
    layers : tuple of QuantizedLayer
        64-64-32-10, ReLU between.
    test_images : int8 array, shape [360, 64]
        Held-out images, 8 x 8 pixels each, quantised as the first layer expects.
    test_labels : int64 array, shape [360]
        Digit shown, 0 to 9.
    float_accuracy : float
        Share of the held-out images the float network classifies rightly, 0 to 1.
    products : tuple of pairs of float64 arrays, shapes [360, in] and [in, out]
        Activations and weights of each layer of the float network, on the held-out images.
    """

    layers: tuple[QuantizedLayer, ...]
    test_images: NDArray[np.int8]
    test_labels: NDArray[np.int64]
    float_accuracy: float
    products: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]

    def accuracy(self, logits: ArrayLike) -> float:
        """Share of held-out images, 0 to 1, whose largest logit is the label's.

        Parameters
        ----------
        logits : array, shape [360, 10]

        Raises
        ------
        ValueError
            If the shape differs.
        """
        scores = np.asarray(logits)
        expected = (self.test_labels.size, self.layers[-1].bias.size)
        if scores.shape != expected:
            raise ValueError(f"logits: shape {scores.shape} is not {expected}")
        return float(np.mean(scores.argmax(axis=1) == self.test_labels))


def train_digits(seed: int = 0) -> DigitsNetwork:
    """Train and quantise the network; the same seed gives the same bytes.

    The images ship inside scikit-learn: nothing is downloaded. 360 of the 1797 are held out,
    stratified by digit; scales are calibrated on the others only.

    Parameters
    ----------
    seed : int
        Seed of the split, the initial weights and the batches, 0 to 2**32 - 1.

    Raises
    ------
    ValueError
        If ``seed`` is out of range.
    """
    seed = check_integer("seed", seed, 0, 2**32 - 1)
    pixels, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        pixels / MAX_PIXEL, labels, test_size=TEST_IMAGES, stratify=labels, random_state=seed
    )
    # Training ends when the training loss stops falling (some 130 epochs): nothing here is
    # chosen by looking at the held-out images.
    classifier = MLPClassifier(HIDDEN_LAYERS, batch_size=64, max_iter=200, random_state=seed)
    # One BLAS thread: the order of additions, and so the weights, must not depend on the cores.
    with threadpool_limits(1), warnings.catch_warnings():
        # A seed that reaches max_iter first is as good: its loss falls by then only marginally.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(train, train_labels)
        float_accuracy = float(classifier.score(test, test_labels))
        products = _products(classifier.coefs_, classifier.intercepts_, test)
        layers = _quantize_layers(classifier.coefs_, classifier.intercepts_, train)
    return DigitsNetwork(
        layers=layers,
        test_images=quantize(test, scale_of(train, 8), 8).astype(np.int8),
        test_labels=test_labels.astype(np.int64),
        float_accuracy=float_accuracy,
        products=products,
    )


def _products(
    weights: list[NDArray[np.float64]],
    biases: list[NDArray[np.float64]],
    activations: NDArray[np.float64],
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    found = []
    for weight, bias in zip(weights, biases, strict=True):
        found.append((activations, weight))
        activations = np.maximum(activations @ weight + bias, 0.0)
    return tuple(found)


def _quantize_layers(
    weights: list[NDArray[np.float64]],
    biases: list[NDArray[np.float64]],
    calibration: NDArray[np.float64],
) -> tuple[QuantizedLayer, ...]:
    """Quantise per tensor, activation scales taken from the float network on ``calibration``."""
    layers = []
    activations = calibration
    scale = scale_of(activations, 8)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        last = index == len(weights) - 1
        weight_scale = scale_of(weight, 8)
        acc_scale = scale * weight_scale
        if not last:
            activations = np.maximum(activations @ weight + bias, 0.0)
            scale = scale_of(activations, 8)
        int_bias = np.rint(bias / acc_scale).astype(np.int64)
        check_range(f"layers[{index}].bias", int_bias, 32, True)
        layers.append(
            QuantizedLayer(
                weights=quantize(weight, weight_scale, 8).astype(np.int8),
                bias=int_bias.astype(np.int32),
                multiplier=None if last else acc_scale / scale,
                relu=not last,
            )
        )
    return tuple(layers)
