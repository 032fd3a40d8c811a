"""The networks against their formulas, the loss against its definition, weight decay against itself."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palate.errors import DataError, OptionError
from palate.nn.embedding import create_params, embedding_size
from palate.nn.losses import mse, weight_decay_term
from palate.nn.models import DotProduct, DotProductBias, EmbeddingNet, cosine, sigmoid_range


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs(n_users, n_items, n, seed=0):
    generator = seeded(seed)
    return torch.stack([torch.randint(m, (n,), generator=generator) for m in (n_users, n_items)], dim=1)


def spread_out(model, seed=0):
    """The model with weights large enough to tell apart what it does with them."""
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5, generator=seeded(seed))
    return model


# ---- dot products


def test_the_five_factor_example_of_the_notes():
    model = DotProduct(5, 5, n_factors=5)
    model.user_factors.weight.data[3] = torch.tensor([1.0, 0, 2, 0, -1])
    model.item_factors.weight.data[1] = torch.tensor([3.0, 9, 0.5, 9, 2])
    assert model(torch.tensor([[3, 1]])).tolist() == [[3 + 1 - 2]]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(0, 20), st.booleans())
def test_predictions_follow_the_formula(n_users, n_items, k, n, squeezed):
    y_range = (0.5, 5.5) if squeezed else None
    model = spread_out(DotProductBias(n_users, n_items, k, y_range=y_range, mean=0.25))
    x = pairs(n_users, n_items, n)
    P, Q, b, c = (getattr(model, name).weight.detach().double().numpy() for name in
                  ("user_factors", "item_factors", "user_bias", "item_bias"))  # fmt: skip
    u, i = x.numpy().T
    expected = 0.25 + b[u, 0] + c[i, 0] + (P[u] * Q[i]).sum(axis=1)
    if squeezed:
        expected = 0.5 + 5.0 / (1 + np.exp(-expected))
    predicted = model(x)
    assert predicted.shape == (n, 1)
    assert predicted.dtype == torch.float32
    np.testing.assert_allclose(predicted.detach().numpy()[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_gradients_of_the_squeezed_model_are_those_of_finite_differences():
    model = spread_out(DotProductBias(3, 4, 2, y_range=(0, 5.5), mean=0.1)).double()
    x = torch.tensor([[0, 1], [0, 1], [2, 3], [0, 3]])
    names, values = zip(*model.named_parameters(), strict=True)
    inputs = tuple(value.detach().clone().requires_grad_() for value in values)

    def predict(*weights):
        return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(predict, inputs)


def test_sigmoid_range_stays_inside_and_is_exact_at_nothing():
    x = torch.linspace(-30, 30, 101)
    squeezed = sigmoid_range(x, -2, 3)
    assert (squeezed >= -2).all()
    assert (squeezed <= 3).all()
    assert (squeezed.diff() >= 0).all()
    assert sigmoid_range(torch.zeros(2, 3), 0, 5.5).tolist() == [[2.75] * 3] * 2


def test_cosine_is_the_dot_product_of_directions():
    u, v = torch.randn(2, 7, 5, generator=seeded())
    directions = [w / w.norm(dim=1, keepdim=True) for w in (u, v)]
    torch.testing.assert_close(cosine(u, v), (directions[0] * directions[1]).sum(1))
    torch.testing.assert_close(cosine(3 * u, v), cosine(u, v))  # unlike the dot product
    assert not torch.allclose((3 * u * v).sum(1), (u * v).sum(1))


def test_factors_are_as_many_as_the_usual_rule_says_unless_given():
    model = DotProduct(20, 300)
    assert model.user_factors.weight.shape == (20, embedding_size(300))
    assert model.item_factors.weight.shape == (300, embedding_size(300))
    assert DotProductBias(20, 300, 4).item_bias.weight.shape == (300, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda generator: DotProductBias(4, 5, 3, generator=generator),
        lambda generator: EmbeddingNet([4, (5, 2)], dropout=0.1, generator=generator),
    ],
)
def test_one_generator_decides_all_and_the_global_one_is_left_alone(make):
    before = torch.get_rng_state()
    one, same, other = (make(seeded(seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(before, torch.get_rng_state())


def test_the_mean_is_an_option_of_the_model_and_not_learned():
    model, without = (spread_out(DotProductBias(2, 2, 2, mean=mean)) for mean in (3.5, 0.0))
    without.load_state_dict(model.state_dict())  # the parameters alone
    x = torch.tensor([[0, 1], [1, 1]])
    assert torch.allclose(model(x), without(x) + 3.5)
    assert set(model.state_dict()) == {
        f"{side}_{what}.weight" for side in ("user", "item") for what in ("factors", "bias")
    }


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (4, 2, 1)])
def test_x_of_another_shape_is_refused(shape):
    with pytest.raises(DataError, match=r"this model takes \(batch, 2\)"):
        DotProductBias(9, 9, 2)(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("y_range", [(5, 1), (1, 1), (0,), 5, (0, float("inf")), (float("nan"), 1), "ab", (0, 1, 2)])
def test_a_y_range_that_makes_no_sense_is_refused(y_range):
    with pytest.raises(OptionError, match="y_range"):
        DotProductBias(2, 2, 2, y_range=y_range)


# ---- the net


def test_the_net_is_its_formula():
    model = spread_out(EmbeddingNet([4, (3, 2)], n_continuous=2, layers=(6, 5), y_range=(1, 5))).eval()
    x, numbers = torch.tensor([[3, 0], [1, 2]]), torch.randn(2, 2, generator=seeded(3))
    first, second = (embedding.weight for embedding in model.embeddings)
    hidden = torch.cat([first[x[:, 0]], second[x[:, 1]], numbers], dim=1)
    linears = [layer for layer in model.layers.modules() if isinstance(layer, nn.Linear)]
    for layer in linears[:-1]:
        hidden = (hidden @ layer.weight.T + layer.bias).clamp(min=0)
    expected = 1 + 4 / (1 + torch.exp(-(hidden @ linears[-1].weight.T + linears[-1].bias)))
    torch.testing.assert_close(model(x, numbers), expected)
    assert [tuple(layer.weight.shape) for layer in linears] == [(6, embedding_size(4) + 2 + 2), (5, 6), (1, 5)]


def test_dropout_acts_in_training_alone():
    model = spread_out(EmbeddingNet([9, 9], layers=(50,), dropout=0.5))
    x = pairs(9, 9, 20)
    with torch.random.fork_rng():
        assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_a_net_without_hidden_layers_is_linear():
    model = EmbeddingNet([(3, 2), (4, 2)], layers=())
    assert model(torch.tensor([[0, 1]])).shape == (1, 1)


def test_continuous_columns_are_as_many_as_announced():
    x = torch.tensor([[0, 1]])
    with pytest.raises(DataError, match="takes 1 continuous columns, not 0"):
        EmbeddingNet([3, 3], n_continuous=1)(x)
    with pytest.raises(DataError, match="takes 0 continuous columns, not 2"):
        EmbeddingNet([3, 3])(x, torch.zeros(1, 2))


@pytest.mark.parametrize("options", [{"dropout": 1.5}, {"dropout": -0.1}, {"layers": (0,)}, {"n_continuous": -1},
                                     {"layers": 100}, {"sizes": [(3, 2, 1)]}, {"sizes": []}, {"sizes": 3}])  # fmt: skip
def test_options_of_the_net_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError):
        EmbeddingNet(**({"sizes": [3, 3]} | options))


# ---- the loss


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(0, 999))
def test_mse_is_its_definition(n, seed):
    predictions, targets = torch.randn(2, n, 1, generator=seeded(seed))
    expected = np.mean((predictions.double().numpy() - targets.double().numpy()) ** 2)
    assert mse(predictions, targets).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("one", "other"), [((64,), (64, 1)), ((64, 1), (64,)), ((4, 1), (1, 1)), ((4, 1), (5, 1))])
def test_mse_never_broadcasts(one, other):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="make them one shape"):
            mse(torch.zeros(one), torch.ones(other))


def test_weight_decay_adds_all_squares():
    first, second = create_params((3, 4)), create_params((2,))
    expected = 0.3 * (first.square().sum() + second.square().sum())
    torch.testing.assert_close(weight_decay_term([first, second], 0.3), expected)
    (gradient,) = torch.autograd.grad(weight_decay_term([first], 0.3), first)
    torch.testing.assert_close(gradient, 0.6 * first)
    assert weight_decay_term([], 0.3).item() == 0


def weights_after(optimizer, in_loss=0.0, steps=25):
    """Weights of one model after some steps, weight decay in the loss if asked."""
    model = spread_out(DotProductBias(5, 6, 3, y_range=(0, 5.5)))
    x, y = pairs(5, 6, 40), torch.rand(40, 1, generator=seeded(4)) * 5
    step = optimizer(model.parameters())
    for _ in range(steps):
        loss = mse(model(x), y) + (weight_decay_term(model.parameters(), in_loss) if in_loss else 0)
        step.zero_grad()
        loss.backward()
        step.step()
        yield torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def test_weight_decay_in_the_loss_is_the_optimizers_for_sgd_step_for_step():
    wd = 0.03
    in_loss = weights_after(lambda ps: torch.optim.SGD(ps, lr=0.1), in_loss=wd)
    inside = weights_after(lambda ps: torch.optim.SGD(ps, lr=0.1, weight_decay=2 * wd))
    without = weights_after(lambda ps: torch.optim.SGD(ps, lr=0.1))
    for one, other, plain in zip(in_loss, inside, without, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert one.norm() < plain.norm()


def test_weight_decay_in_the_loss_is_adams_but_not_adamws():
    wd = 0.03
    in_loss = list(weights_after(lambda ps: torch.optim.Adam(ps, lr=0.01), in_loss=wd))[-1]
    adam = list(weights_after(lambda ps: torch.optim.Adam(ps, lr=0.01, weight_decay=2 * wd)))[-1]
    adamw = list(weights_after(lambda ps: torch.optim.AdamW(ps, lr=0.01, weight_decay=2 * wd)))[-1]
    torch.testing.assert_close(in_loss, adam, rtol=1e-3, atol=1e-4)
    assert (in_loss - adamw).norm() > 0.02 * adamw.norm()
