"""Parameters by hand and embeddings: an indexed row is the one-hot product, value and gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palate.errors import DataError, OptionError
from palate.nn.embedding import Embedding, create_params, embedding_size, one_hot


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_create_params_is_a_parameter_of_the_notes_distribution():
    weight = create_params((400, 250), generator=seeded())
    assert isinstance(weight, nn.Parameter)
    assert weight.requires_grad
    assert weight.shape == (400, 250)
    assert abs(weight.mean().item()) < 5 * 0.01 / 100_000**0.5
    assert weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert torch.equal(weight, create_params((400, 250), generator=seeded()))


def test_create_params_leaves_the_global_generator_alone_when_given_one():
    before = torch.get_rng_state()
    create_params((3, 2), generator=seeded())
    Embedding(3, 2, generator=seeded())
    assert torch.equal(before, torch.get_rng_state())


def test_parameters_are_found_by_their_module():
    assert [name for name, _ in Embedding(3, 2).named_parameters()] == ["weight"]
    assert repr(Embedding(3, 2)) == "Embedding(3, 2)"


@st.composite
def tables(draw):
    """A table, codes with repeats, and what flows back to each of their rows; whole numbers, so that sums are exact."""
    n, k = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    shape = draw(st.sampled_from([(0,), (1,), (5,), (40,), (2, 3), (1, 0), (2, 2, 2), ()]))
    generator = seeded(draw(st.integers(0, 10_000)))
    weight = torch.randint(-50, 50, (n, k), generator=generator).float()
    kind = draw(st.sampled_from([torch.int64, torch.int32]))
    codes = torch.randint(0, n, shape, generator=generator).to(kind)
    return weight, codes, torch.randint(-50, 50, (*shape, k), generator=generator).float()


@settings(deadline=None)
@given(tables())
def test_index_is_the_one_hot_product_in_values_and_gradients(table):
    weight, codes, upstream = table
    embedding = Embedding(*weight.shape)
    embedding.weight.data.copy_(weight)
    indexed = embedding(codes)
    indexed.backward(upstream)

    by_hand = weight.clone().requires_grad_()
    product = one_hot(codes, len(weight)) @ by_hand
    product.backward(upstream)

    assert indexed.shape == (*codes.shape, weight.shape[1])
    assert torch.equal(indexed, product)
    assert torch.equal(embedding.weight.grad, by_hand.grad)


def test_the_gradient_of_a_repeated_code_is_the_sum():
    embedding = Embedding(3, 1)
    (embedding(torch.tensor([1, 1, 0])) * torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    assert embedding.weight.grad.flatten().tolist() == [100, 11, 0]


@pytest.mark.parametrize("codes", [[0, 3], [-1], [[0, 1], [2, 7]], [2**40]])
def test_a_code_out_of_range_is_explained(codes):
    bad = max(torch.tensor(codes).flatten().tolist(), key=abs)
    with pytest.raises(DataError, match=rf"code {bad} lies outside 0\.\.2: this embedding has 3 rows"):
        Embedding(3, 2)(torch.tensor(codes))
    with pytest.raises(DataError, match="lies outside"):
        one_hot(torch.tensor(codes), 3)


def test_codes_that_are_no_integers_are_explained():
    with pytest.raises(DataError, match=r"not torch.float32: write codes.long\(\)"):
        Embedding(3, 2)(torch.tensor([1.0]))
    with pytest.raises(DataError, match="integers"):
        one_hot(torch.tensor([True]), 3)


def test_other_failures_keep_their_own_message():
    embedding = Embedding(3, 2)
    embedding.weight.data = torch.zeros(())
    with pytest.raises((IndexError, RuntimeError, TypeError)):
        embedding(torch.tensor([0, 1]))


@pytest.mark.parametrize(("n", "k"), [(0, 2), (3, 0), (-1, 2), (2.0, 2), (True, 2)])
def test_sizes_that_make_no_sense(n, k):
    with pytest.raises(OptionError, match="must be a whole number"):
        Embedding(n, k)


def test_one_hot_is_a_row_with_one_one():
    rows = one_hot(torch.tensor([2, 0]), 4)
    assert rows.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert rows.dtype == torch.float32


@pytest.mark.parametrize(("n", "size"), [(1, 2), (2, 2), (10, 6), (100, 21), (1682, 102), (10**6, 600)])
def test_embedding_size_is_the_usual_rule(n, size):
    assert embedding_size(n) == size
