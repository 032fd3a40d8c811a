"""Network: a small neural net in place of the dot product, with the methods of Factors, in NumPy alone.

    score(u, i) = MLP([inputs of u, inputs of i]),   linear layers with ReLU between them

It is trained with PyTorch (palate.nn) and converted by palate.nn.from_torch; prediction needs no torch.

Source: He, Liao, Zhang, Nie, Hu & Chua (2017), Neural Collaborative Filtering.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.models.factors import Codes, Doubles, Factors, Floats, with_unknown

Layer = tuple[Floats, Floats]  # (n_out, n_in) weight, (n_out,) bias

BLOCK_FLOATS = 4_000_000  # first-layer inputs computed at a time
N_OTHERS = 256  # trained rows sampled for the variance of an unknown one


@dataclass(frozen=True, repr=False)
class Network(Factors):
    """A multilayer perceptron over the inputs of a user and an item, side by side.

    A row of users or items holds the inputs of a user or an item: the embedding first, then its attributes, and a last
    column of zeros in place of the bias; (n, width + 1).

    Attributes:
        layers (tuple of (weight, bias)): Of shapes (n_out, n_in) and (n_out,); the last has one output, the score.
        user_places (int64 array): The columns of the first layer's input that hold the user's inputs.
        item_places (int64 array): The columns that hold the item's inputs.
        constants (float32 array of shape (n_in,)): The first layer's input before both sides are filled in.
        learned (tuple of two ints): Embedding widths of user and item; the rest of a row is attributes, not learned.
    """

    layers: tuple[Layer, ...] = ()
    user_places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    item_places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    constants: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    learned: tuple[int, int] = (0, 0)

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,). vectors: (m, width + 1) of the users that user_codes index; the code -1 is unknown."""
        users, user_codes = with_unknown(vectors, self.user_prior.mean, user_codes)
        items, item_codes = with_unknown(self.items, self.item_prior.mean, item_codes)
        step = max(1, BLOCK_FLOATS // len(self.constants))
        blocks = [slice(start, start + step) for start in range(0, max(len(user_codes), 1), step)]
        return np.concatenate([self._forward(users[user_codes[at]], items[item_codes[at]]) for at in blocks])

    def scores(self, vectors: Floats) -> Floats:
        """Predicted ratings of every item for each user vector, (n, n_items)."""
        users = np.repeat(np.arange(len(vectors), dtype=np.int32), len(self.items))
        items = np.tile(np.arange(len(self.items), dtype=np.int32), len(vectors))
        return self.ratings_at(self.pair_scores(vectors, users, items)).reshape(len(vectors), len(self.items))

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Fold in new users: inputs (n, width + 1) whose embedding fits their ratings; other inputs are the mean."""
        rows = [self._fitted(*histories.row(row)) for row in range(histories.n_rows)]
        return np.array(rows, np.float32).reshape(len(rows), self.users.shape[1])

    def unknown_variance(self, user_codes: Codes, item_codes: Codes, users: Floats | None = None) -> Doubles:
        """The variance that unknown users and items (code -1) add to ratings, (n,), by a sample of trained ones."""
        vectors = self.users if users is None else users
        variance = np.zeros(len(user_codes))
        rng = np.random.Generator(np.random.Philox(0))
        others = [rng.integers(0, len(side), N_OTHERS).astype(np.int32) for side in (self.users, self.items)]
        for row in np.flatnonzero((user_codes < 0) | (item_codes < 0)):
            no_user = user_codes[row] < 0
            sampled_users = others[0] if no_user else np.full(N_OTHERS, user_codes[row], np.int32)
            sampled_items = others[1] if item_codes[row] < 0 else np.full(N_OTHERS, item_codes[row], np.int32)
            scores = self.pair_scores(self.users if no_user else vectors, sampled_users, sampled_items)
            variance[row] = np.var(self.ratings_at(scores))
        return variance

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:
        """Not available: a network is not linear in a user's ratings, so no ratings explain a prediction exactly."""
        raise NotImplementedError("a network is not linear in a user's ratings")

    def transposed(self) -> Network:
        """Return the network with users and items exchanged."""
        return self._exchanged(user_places=self.item_places, item_places=self.user_places, learned=self.learned[::-1])

    def _inputs(self, users: Floats, items: Floats) -> Floats:
        """Inputs of the first layer for pairs of rows, (n, n_in)."""
        inputs = np.tile(self.constants, (len(users), 1))
        inputs[:, self.user_places] = users[:, :-1]
        inputs[:, self.item_places] = items[:, :-1]
        return inputs

    def _forward(self, users: Floats, items: Floats) -> Floats:
        """Scores of pairs of rows, (n,)."""
        hidden = self._inputs(users, items)
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weight.T + bias, 0)
        weight, bias = self.layers[-1]
        scores: Floats = (hidden @ weight.T + bias)[:, 0]
        return scores

    def _slopes(self, users: Floats, items: Floats) -> Floats:
        """The derivative of the score by the user's embedding, (n, learned width), by backpropagation."""
        hidden, active = self._inputs(users, items), []
        for weight, bias in self.layers[:-1]:
            hidden = hidden @ weight.T + bias
            active.append(hidden > 0)
            hidden = np.maximum(hidden, 0)
        slopes = np.repeat(self.layers[-1][0], len(users), axis=0)
        for (weight, _), is_active in zip(self.layers[-2::-1], active[::-1], strict=True):
            slopes = (slopes * is_active) @ weight
        return slopes[:, self.user_places[: self.learned[0]]]

    def _fitted(self, item_codes: Codes, values: Floats) -> Floats:
        """One user's inputs, (width + 1,), by Gauss-Newton over the embedding; steps are halved until the loss falls.

        The loss is alpha sum ((f - r) / span)^2 + (x - m)' Lambda (x - m).
        """
        prior, width = self.user_prior, self.learned[0]
        precision = prior.precision[:width, :width].astype(np.float64)
        x, items = prior.mean.copy(), self.items[item_codes]
        loss = self._loss(x, items, values)
        for _ in range(20):
            row = np.tile(x, (len(items), 1))
            scores = self._forward(row, items)
            slopes = self._slopes(row, items).astype(np.float64) * self.slopes_at(scores)[:, None]
            errors = (self.ratings_at(scores) - values).astype(np.float64) / self.span
            gradient = prior.alpha * slopes.T @ errors + precision @ (x - prior.mean)[:width]
            step = np.linalg.solve(precision + prior.alpha * slopes.T @ slopes, gradient)
            for size in (1.0, 0.5, 0.25, 0.125):
                tried = x.copy()
                tried[:width] -= size * step
                if (new_loss := self._loss(tried, items, values)) < loss:
                    break
            else:
                return x
            x, loss = tried, new_loss
        return x

    def _loss(self, x: Floats, items: Floats, values: Floats) -> float:
        """The loss that _fitted() minimizes."""
        errors = self.ratings_at(self._forward(np.tile(x, (len(items), 1)), items)) - values
        from_mean = (x - self.user_prior.mean).astype(np.float64)
        return float(
            self.user_prior.alpha * np.sum((errors.astype(np.float64) / self.span) ** 2)
            + from_mean @ self.user_prior.precision @ from_mean
        )


def pack(network: Network) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a model file holds of a network besides its rows: header and tensors."""
    tensors: dict[str, NDArray[Any]] = {
        "network.user_places": network.user_places,
        "network.item_places": network.item_places,
        "network.constants": network.constants,
    }
    for at, (weight, bias) in enumerate(network.layers):
        tensors |= {f"network.{at}.weight": weight, f"network.{at}.bias": bias}
    return {"layers": len(network.layers), "learned": list(network.learned)}, tensors


def unpack(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Network:
    """Return a network from a model file. Raise ValueError if the parts do not fit together."""
    layers = tuple((tensors[f"network.{at}.weight"], tensors[f"network.{at}.bias"]) for at in range(header["layers"]))
    user, item = map(int, header["learned"])
    network = Network.of(
        factors,
        layers=layers,
        user_places=tensors["network.user_places"],
        item_places=tensors["network.item_places"],
        constants=tensors["network.constants"],
        learned=(user, item),
    )
    _check(network)
    return network


def _check(network: Network) -> None:
    """Raise ValueError unless layers and places fit each other."""
    n_in = len(network.constants)
    for places, side, learned in zip(
        (network.user_places, network.item_places), (network.users, network.items), network.learned, strict=True
    ):
        fits = places.dtype == np.int64 and places.shape == (side.shape[1] - 1,) and 0 <= learned <= len(places)
        if not fits or (len(places) and not 0 <= places.min() <= places.max() < n_in):
            raise ValueError("the places of a network do not fit its inputs")
    width = n_in
    for weight, bias in network.layers:
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ValueError("the layers of a network do not fit each other")
        if weight.dtype != np.float32 or bias.dtype != np.float32:
            raise ValueError("the layers of a network are not float32")
        width = len(weight)
    if not network.layers or width != 1 or network.constants.dtype != np.float32:
        raise ValueError("the last layer of a network does not have one output")
