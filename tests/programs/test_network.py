"""The networks against plain NumPy, the published counts, and PyTorch's initial weights.

The NumPy functions spell out the modules that come with the data set (Greydanus and Kobak 2024).
"""

import math

import jax
import numpy as np
import pytest

from evo_clrs.slots import NETWORK
from tests.programs.guest import SMALL, count, guest, in_order, inputs, small_params

PUBLISHED_COUNTS = {"linear": 410, "mlp": 15_210, "cnn": 5_210, "gru": 5_134}


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv(x, w, b, stride, padding):
    """A convolution by loops over places. x: [B, L, I]; w: [K, I, O]; returns [B, L', O]."""
    x = np.pad(x, ((0, 0), (padding, padding), (0, 0)))
    length = (x.shape[1] - len(w)) // stride + 1
    places = [x[:, i * stride : i * stride + len(w)] for i in range(length)]
    return np.stack([np.einsum("bki,kio->bo", place, w) for place in places], axis=1) + b


def linear(x, w, b):
    return x @ w + b


def mlp(x, w_1, b_1, w_2, b_2, w_3, b_3):
    h = relu(x @ w_1 + b_1)
    h = h + relu(h @ w_2 + b_2)
    return h @ w_3 + b_3


def cnn(x, w_1, b_1, w_2, b_2, w_3, b_3, w_4, b_4):
    h = relu(conv(x[:, :, None], w_1, b_1, stride=2, padding=1))
    h = relu(conv(h, w_2, b_2, stride=2, padding=1))
    h = relu(conv(h, w_3, b_3, stride=2, padding=1))
    return h.reshape(len(x), -1) @ w_4 + b_4


def gru_states(x, order, w_in, b_in, w_state, b_state):
    """The states at all steps, [B, L, 6], of a GRU that reads x, [B, L], in this order."""
    state = np.zeros((len(x), 6))
    states = np.zeros((*x.shape, 6))
    for step in order:
        of_signal = np.split(x[:, step, None] @ w_in + b_in, 3, axis=1)
        of_state = np.split(state @ w_state + b_state, 3, axis=1)
        reset = sigmoid(of_signal[0] + of_state[0])
        kept = sigmoid(of_signal[1] + of_state[1])
        fresh = np.tanh(of_signal[2] + reset * of_state[2])
        state = (1 - kept) * fresh + kept * state
        states[:, step] = state
    return states


def gru(x, w_ahead_in, b_ahead_in, w_back_in, b_back_in, *rest):
    w_ahead, b_ahead, w_back, b_back, w_out, b_out = rest
    steps = range(x.shape[1])
    ahead = gru_states(x, steps, w_ahead_in, b_ahead_in, w_ahead, b_ahead)
    back = gru_states(x, reversed(steps), w_back_in, b_back_in, w_back, b_back)
    return np.concatenate([ahead, back], axis=2).reshape(len(x), -1) @ w_out + b_out


def paper_cnn(x, w_1, b_1, w_2, b_2, w_3, b_3, w_4, b_4, w_5, b_5):
    def halved(h):
        return (h[:, 0::2] + h[:, 1::2]) / 2

    h = halved(relu(conv(x[:, :, None], w_1, b_1, stride=1, padding=1)))
    h = h + relu(conv(h, w_2, b_2, stride=1, padding=1))
    h = h + relu(conv(h, w_3, b_3, stride=1, padding=1))
    h = relu(halved(h).reshape(len(x), -1) @ w_4 + b_4)
    return h @ w_5 + b_5


REFERENCES = {"linear": linear, "mlp": mlp, "cnn": cnn, "gru": gru, "paper_cnn": paper_cnn}


@pytest.mark.parametrize("name", REFERENCES)
def test_networks_equal_the_same_in_numpy(name):
    (x,) = inputs(NETWORK, SMALL)
    (ours,) = guest("network", name).at(SMALL).apply(small_params("network", name), None, x)
    arrays = [a.astype(np.float64) for a in in_order(small_params("network", name))]
    theirs = REFERENCES[name](x.astype(np.float64), *arrays)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name, published", PUBLISHED_COUNTS.items())
def test_parameter_counts_are_the_published_ones(name, published):
    assert count("network", name) == published


def test_the_papers_cnn_has_the_layers_of_its_listing():
    convolutions = (3 * 1 * 32 + 32) + 2 * (3 * 32 * 32 + 32)
    dense = (10 * 32 * 256 + 256) + (256 * 10 + 10)
    assert count("network", "paper_cnn") == convolutions + dense


@pytest.mark.parametrize("name", PUBLISHED_COUNTS)
def test_initial_weights_are_spread_as_in_pytorch(name):
    """Uniform within 1 / sqrt(inputs of a unit), or of its GRU within 1 / sqrt(units)."""
    params = guest("network", name).at(SMALL).init(jax.random.key(3), *inputs(NETWORK, SMALL))
    for arrays in params.values():
        for parameter, array in arrays.items():
            fan_in = 6 if array.shape[-1] == 18 else math.prod(arrays["w"].shape[:-1])
            bound = 1 / math.sqrt(fan_in)
            assert np.abs(array).max() <= bound, parameter
            if array.size >= 100:
                assert np.abs(array).max() > 0.95 * bound
                # The standard deviation of a uniform variable is its bound over sqrt(3).
                assert abs(np.std(array) * math.sqrt(3) / bound - 1) < 0.1
