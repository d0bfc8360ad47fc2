"""The digits network and the golden forward pass that runs it."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.gemm import matmul
from golden.mlp import QuantizedLayer, forward
from scripts.network import DigitsNetwork, train_digits


@pytest.fixture(scope="module")
def network() -> DigitsNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return train_digits()


def layer(
    weights: list[list[int]], bias: list[int], multiplier: float | None, relu: bool = False
) -> QuantizedLayer:
    return QuantizedLayer(
        np.array(weights, dtype=np.int8), np.array(bias, dtype=np.int32), multiplier, relu
    )


def test_two_trainings_give_equal_bytes(network: DigitsNetwork) -> None:
    again = train_digits()
    for first, second in zip(network.layers, again.layers, strict=True):
        assert first.weights.tobytes() == second.weights.tobytes()
        assert first.bias.tobytes() == second.bias.tobytes()
        assert (first.multiplier, first.relu) == (second.multiplier, second.relu)
    assert network.test_images.tobytes() == again.test_images.tobytes()
    assert network.test_labels.tobytes() == again.test_labels.tobytes()
    assert network.float_accuracy == again.float_accuracy


def test_another_seed_gives_another_network(network: DigitsNetwork) -> None:
    other = train_digits(1)
    assert network.layers[0].weights.tobytes() != other.layers[0].weights.tobytes()


def test_shapes_and_types(network: DigitsNetwork) -> None:
    assert [x.weights.shape for x in network.layers] == [(64, 64), (64, 32), (32, 10)]
    assert all(x.weights.dtype == np.int8 for x in network.layers)
    assert all(x.bias.dtype == np.int32 for x in network.layers)
    assert [x.relu for x in network.layers] == [True, True, False]
    assert [x.multiplier is None for x in network.layers] == [False, False, True]
    assert network.test_images.shape == (360, 64)
    assert network.test_images.dtype == np.int8
    assert network.test_labels.shape == (360,)
    assert network.test_labels.dtype == np.int64


def test_held_out_images_are_stratified(network: DigitsNetwork) -> None:
    counts = np.bincount(network.test_labels, minlength=10)
    assert counts.min() >= 34
    assert counts.max() <= 38


def test_int8_is_as_accurate_as_float(network: DigitsNetwork) -> None:
    accumulators, logits = forward(network.test_images, network.layers, matmul)
    assert [x.shape for x in accumulators] == [(360, 64), (360, 32), (360, 10)]
    assert network.float_accuracy > 0.95
    assert abs(network.accuracy(logits) - network.float_accuracy) <= 0.01


def test_forward_by_hand() -> None:
    layers = [
        layer([[2, -3], [1, 1]], [1, 0], 0.5, relu=True),
        layer([[10], [100]], [-7], None),
    ]
    images = np.array([[3, 4], [0, 100]], dtype=np.int8)
    accumulators, logits = forward(images, layers, matmul)
    # Biased sums [11, -5] and [101, 100]; halved to even after ReLU: [6, 0] and [50, 50].
    assert [x.tolist() for x in accumulators] == [[[10, -5], [100, 100]], [[60], [5500]]]
    assert logits.tolist() == [[53], [5493]]


def test_every_product_goes_through_the_given_matmul(network: DigitsNetwork) -> None:
    calls = []

    def recording(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int32]:
        assert a.dtype == b.dtype == np.int8
        calls.append((a.shape, b.shape))
        return matmul(a, b).astype(np.int32)

    _, logits = forward(network.test_images, network.layers, recording)
    _, expected = forward(network.test_images, network.layers, matmul)
    assert np.array_equal(logits, expected)
    assert calls == [((360, 64), (64, 64)), ((360, 64), (64, 32)), ((360, 32), (32, 10))]


def test_a_wrong_product_shows(network: DigitsNetwork) -> None:
    _, right = forward(network.test_images, network.layers, matmul)
    _, wrong = forward(network.test_images, network.layers, lambda a, b: -matmul(a, b))
    assert network.accuracy(wrong) < 0.5 < network.accuracy(right)


def test_bias_that_leaves_int32_is_refused() -> None:
    layers = [layer([[1]], [2**31 - 1], None)]
    message = r"^layers\[0\] sum\[1, 0\]: 2147483648 is not in -2147483648\.\.2147483647 \(32-bit"
    with pytest.raises(ValueError, match=message):
        forward(np.array([[0], [1]], dtype=np.int8), layers, matmul)


def test_multiplier_belongs_before_the_last_layer() -> None:
    image = np.array([[1]], dtype=np.int8)
    inner, last = layer([[1]], [0], 0.5), layer([[1]], [0], None)
    with pytest.raises(ValueError, match=r"^layers\[0\]\.multiplier: None given, must be a number"):
        forward(image, [replace(inner, multiplier=None), last], matmul)
    with pytest.raises(ValueError, match=r"^layers\[1\]\.multiplier: 0.5 given, must be None"):
        forward(image, [inner, replace(last, multiplier=0.5)], matmul)
    with pytest.raises(ValueError, match=r"^layers: 0 layers given, at least 1 is needed$"):
        forward(image, [], matmul)


def test_bad_arguments(network: DigitsNetwork) -> None:
    with pytest.raises(ValueError, match=r"^seed: -1 is not in 0\.\.4294967295$"):
        train_digits(-1)
    with pytest.raises(ValueError, match=r"^logits: shape \(360, 9\) is not \(360, 10\)$"):
        network.accuracy(np.zeros((360, 9)))
