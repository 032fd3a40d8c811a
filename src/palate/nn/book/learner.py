"""Learner under the chapter's names, and collab_learner, which makes one with a ready model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import NotAModelError, OptionError, TamperedModelError
from palate.nn import checkpoints, learner
from palate.nn.book.data import CollabDataLoaders
from palate.nn.book.exporting import KIND, SUFFIX
from palate.nn.book.losses import MSELossFlat
from palate.nn.book.models import EmbeddingDotBias, EmbeddingNN, get_emb_sz
from palate.nn.book.names import L, Missing, check_rows, listed, optional
from palate.nn.book.pca import plain_inside
from palate.nn.book.predicting import Predicts
from palate.nn.book.recorder import Recorder
from palate.nn.book.searching import Suggest, suggestions, valley
from palate.nn.book.summary import summary_of
from palate.nn.callbacks import Callback, in_order
from palate.nn.checkpoints import arrays_of
from palate.nn.models import Range
from palate.storing import container

WEIGHTS = "palate.nn.book weights"  # the kind of the files of save


class Learner(Predicts, learner.Learner):  # type: ignore[misc]
    """palate.nn.Learner under the chapter's names.

    When a fit has ended, the parameters of the model have a method pca().

    Parameters:
        dls (CollabDataLoaders): Training and validation batches.
        model (torch.nn.Module): The model.
        loss_func (callable, default None): A function of (scores, targets); None takes MSELossFlat().
        opt_func (class or callable, default None): A class of torch.optim, or a function of (parameters, lr, wd); None
            takes AdamW as fast.ai does.
        lr (float, default 0.001): The learning rate of fits that give none, above 0.
        cbs (Callback or sequence of Callback, default None): What else runs during each fit.
        metrics (callable or sequence of callable, default None): What else to measure on the validation ratings after
            each epoch: functions of (predictions, targets).
        path (str or path, default None): The folder for files; None takes that of dls.
        model_dir (str or path, default "models"): The folder within it for save and load.
        wd (float, default 0.01): The weight decay of fits that give none, 0 or more.
        **options (Any): Further options of palate.nn.Learner.

    Attributes:
        dls (CollabDataLoaders): The batches.
        model (torch.nn.Module): The model.
        recorder (Recorder): The history.
        path (pathlib.Path): The folder for files.
        model_dir (pathlib.Path): The folder within it for save and load.

    Raises:
        OptionError: An option lies outside its range, or the model has no parameter to train.

    Example:
        >>> from palate.nn.book import CollabDataLoaders, EmbeddingDotBias, Learner, MSELossFlat, rmse
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> dls = CollabDataLoaders.from_df(frame, valid_pct=0.25)
        >>> learn = Learner(dls, EmbeddingDotBias.from_classes(3, dls.classes), MSELossFlat(), metrics=rmse)
        >>> learn.fit_one_cycle(2, 0.1)
        >>> len(learn.recorder.values)
        2
    """

    _recorder_class = Recorder
    _measures = ("train loss", "valid loss")
    recorder: Recorder

    def __init__(
        self,
        dls: Any,
        model: nn.Module,
        loss_func: Any = None,
        opt_func: Any = None,
        lr: float = 0.001,
        cbs: Any = None,
        metrics: Any = None,
        path: str | PathLike[str] | None = None,
        model_dir: str | PathLike[str] = "models",
        wd: float = 0.01,
        **options: Any,
    ) -> None:
        options["callbacks"] = [*options.pop("callbacks", ()), *listed(cbs, _is_callback)]
        super().__init__(
            dls, model, loss=loss_func or MSELossFlat(), optimizer=opt_func, lr=lr, weight_decay=wd,
            metrics=listed(metrics, callable), **options,
        )  # fmt: skip
        self.dls: CollabDataLoaders = dls
        self.path = Path(getattr(dls, "path", ".") if path is None else path)
        self.model_dir = Path(model_dir)
        self._name_metrics()

    def _name_metrics(self) -> None:
        self.recorder.metric_names[:] = ["epoch", "train_loss", "valid_loss", *self.metrics, "time"]

    @property
    def loss_func(self) -> Any:
        """The loss."""
        return self.loss

    # ---- training

    def fit(  # type: ignore[override]
        self, n_epoch: int, lr: float | None = None, wd: float | None = None, cbs: Any = None
    ) -> None:
        """Train for some epochs at a constant learning rate. Ctrl-C ends the fit early and keeps what was learned.

        Parameters:
            n_epoch (int): Epochs, 1 or more.
            lr (float, default None): The learning rate, above 0; None takes the learner's.
            wd (float, default None): The weight decay, 0 or more; None takes the learner's.
            cbs (Callback or sequence of Callback, default None): What else runs during this fit.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.
        """
        with self._with_callbacks(cbs):
            super().fit(n_epoch, lr, wd)

    def fit_one_cycle(  # type: ignore[override]
        self, n_epoch: int, lr_max: float | None = None, wd: float | None = None, cbs: Any = None
    ) -> None:
        """Train for some epochs in one cycle of the learning rate; see palate.nn.Learner.fit_one_cycle.

        Parameters:
            n_epoch (int): Epochs, 1 or more.
            lr_max (float, default None): The maximum learning rate, above 0; None takes the learner's lr.
            wd (float, default None): The weight decay, 0 or more; None takes the learner's.
            cbs (Callback or sequence of Callback, default None): What else runs during this fit.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.
        """
        with self._with_callbacks(cbs):
            super().fit_one_cycle(n_epoch, lr_max, wd)

    def fine_tune(self, epochs: int, base_lr: float = 2e-3, freeze_epochs: int = 1, wd: float | None = None) -> None:
        """Train for freeze_epochs epochs at base_lr, then for some epochs at half of it, each in one cycle.

        Nothing is frozen in the meantime: these models have no pretrained part.

        Parameters:
            epochs (int): Epochs of the second cycle, 1 or more.
            base_lr (float, default 0.002): The maximum learning rate of the first cycle, above 0.
            freeze_epochs (int, default 1): Epochs of the first cycle, 1 or more.
            wd (float, default None): The weight decay, 0 or more; None takes the learner's.

        Raises:
            OptionError: An option lies outside its range.
        """
        self.fit_one_cycle(freeze_epochs, base_lr, wd)
        self.fit_one_cycle(epochs, base_lr / 2, wd)

    def freeze(self) -> None:
        """Do nothing: these models have no pretrained part that could be frozen."""

    def unfreeze(self) -> None:
        """Do nothing: no part is frozen."""

    def to_fp16(self) -> Learner:
        """Print a note, and train in float32 as before: half precision makes these small models no faster.

        Returns:
            Learner: This learner.
        """
        print(  # noqa: T201
            "to_fp16 changes nothing: the learner goes on in float32, since half precision is no faster for embeddings "
            "of this size.",
            file=sys.stderr,
        )
        return self

    def to_fp32(self) -> Learner:
        """Do nothing: the learner is in float32.

        Returns:
            Learner: This learner.
        """
        return self

    @contextmanager
    def no_bar(self) -> Iterator[Learner]:
        """Print no table of epochs within a block.

        Returns:
            context manager: It gives this learner.
        """
        shown, self.progress = self.progress, False
        try:
            yield self
        finally:
            self.progress = shown

    @contextmanager
    def _with_callbacks(self, cbs: Any) -> Iterator[None]:
        """Inside, the callbacks are the learner's and these."""
        before = self.callbacks
        self.callbacks = in_order([*before, *listed(cbs, _is_callback)])
        self._name_metrics()
        done = (len(self.recorder.epochs), len(self.recorder.losses))
        self.recorder.starts.append(done)
        try:
            yield
        finally:
            self.callbacks = before
            if len(self.recorder.losses) == done[1]:  # nothing was trained
                self.recorder.starts.pop()

    def _run(self) -> learner.Learner:
        with plain_inside(self.parameters):
            return super()._run()

    def _predicted(self, batches: Any) -> tuple[Tensor, Tensor]:
        scores, targets = super()._predicted(batches)
        return scores.reshape(len(scores), -1), targets

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10,
        num_it: int = 100,
        show_plot: bool = True,
        suggest_funcs: Suggest | Sequence[Suggest] = valley,
    ) -> Any:
        """Train on a few batches while the learning rate grows, suggest a rate, and draw what was found.

        The picture needs matplotlib; without it none is drawn. Model and optimizer are then put back.

        Parameters:
            start_lr (float, default 1e-07): The first learning rate, above 0.
            end_lr (float, default 10): The last learning rate, above start_lr.
            num_it (int, default 100): Batches, and so rates to try, 2 or more.
            show_plot (bool, default True): Draw the losses, as recorder.plot_lr_find does.
            suggest_funcs (callable or sequence of callable, default valley): How to choose: valley, minimum, steep,
                slide, or functions of (rates, losses, num_it).

        Returns:
            SuggestedLRs: A named tuple with a rate for each function, such as `valley`.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.
        """
        with plain_inside(self.parameters):
            search = super().lr_find(start_lr, end_lr, num_it)
        self.recorder.searches.append(search)
        if show_plot and not isinstance(optional("plt"), Missing):
            self.recorder.plot_lr_find()
        return suggestions(search, listed(suggest_funcs, callable), num_it)

    # ---- what was learned

    def validate(self, ds_idx: int = 1, dl: Any = None) -> L:  # type: ignore[override]
        """Measure the loss and the metrics.

        Parameters:
            ds_idx (int, default 1): 1 for the validation ratings, 0 for the training ratings.
            dl (Batches, default None): Other batches with ratings, as dls.test_dl(frame, with_labels=True) makes them.

        Returns:
            L: The loss, then the metrics.

        Raises:
            OptionError: The loaders have no validation set.
        """
        loss, _, metrics = self._measured(self._batches(ds_idx, dl))
        return L([loss, *metrics.values()])

    def show_results(self, max_n: int = 9, ds_idx: int = 1) -> Any:
        """Return the first validation ratings beside their predictions.

        Parameters:
            max_n (int, default 9): Ratings to return at most, 1 or more.
            ds_idx (int, default 1): 1 for the validation ratings, 0 for the training ratings.

        Returns:
            frame: Users, items, ratings and predictions; a pandas frame if the loaders were made of one.

        Raises:
            OptionError: An option lies outside its range, or the loaders have no validation set.
        """
        check_rows(max_n)
        x, y = (column[:max_n] for column in self._batches(ds_idx, None).tensors)
        return self.dls.beside(x, y, self._decoded(self._scores([(x,)])))

    def summary(self) -> Any:
        """Describe the layers of the model: their names, the shapes of what they give, and their parameters.

        Returns:
            str: A table; notebooks and print show it line by line.
        """
        return summary_of(self)

    # ---- files

    def save(self, file: str | PathLike[str], with_opt: bool = True) -> Path:  # type: ignore[override]
        """Write the weights, and the state of the optimizer, to a file in path / model_dir: data only, no code.

        Parameters:
            file (str or path): The name; .palate is added where it has no such ending.
            with_opt (bool, default True): Write the state of the optimizer too.

        Returns:
            pathlib.Path: The file.

        Raises:
            OSError: The folder cannot be made.
            ModelFileError: The file cannot be written.
        """
        path = self._file(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors, rest = checkpoints.pack_optimizer(self.optimizer) if with_opt else ({}, None)
        arrays = arrays_of(checkpoints.prefixed("model", self.model.state_dict()) | tensors)
        container.write(path, arrays, {"kind": WEIGHTS, "optimizer": rest})
        return path

    def load(self, file: str | PathLike[str], with_opt: bool = True) -> Learner:
        """Read weights that save wrote.

        Parameters:
            file (str or path): The name given to save.
            with_opt (bool, default True): Read the state of the optimizer too, if it is there.

        Returns:
            Learner: This learner.

        Raises:
            OptionError: The file has the weights of another model, or the state of another optimizer.
            ModelFileError: The file is missing, damaged or not one of save; the class of the error says which.
        """
        path = self._file(file)
        arrays, header = container.read(path)
        if header.get("kind") != WEIGHTS:
            raise NotAModelError(f"{path} is no file of learn.save; load_learner reads those of learn.export.")
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        rest, position = header.get("optimizer"), checkpoints.Position(0, 0, None, "")
        found = checkpoints.Checkpoint(str(path), tensors, Recorder(), position, {}, rest)
        found.check_model(self.model)
        if with_opt and rest is not None:
            try:
                found.restore_optimizer(self.optimizer)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                if isinstance(error, OptionError):
                    raise
                raise TamperedModelError(f"{path} has a state of an optimizer whose parts do not fit.") from error
        self.model.load_state_dict(found.part("model"))
        return self

    def _file(self, file: str | PathLike[str]) -> Path:
        path = self.path / self.model_dir / file
        return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)

    def export(self, fname: str | PathLike[str] = "export.palate") -> None:
        """Write the model and its labels to a file in path, for load_learner: data only, no code.

        Parameters:
            fname (str or path, default "export.palate"): The file to write; an existing one is replaced.

        Raises:
            OptionError: The model is not one of collab_learner.
            OSError: The file cannot be written.
        """
        model = self.model
        if not isinstance(model, EmbeddingDotBias | EmbeddingNN):
            raise OptionError(
                f"export writes the models of collab_learner, and {type(model).__name__} is made by hand: take "
                "learn.save(name), which writes its weights, and learn.load(name) in a learner with the same class."
            )
        labels = [[name, list(found[1:])] for name, found in self.dls.classes.items()]
        header = {"kind": KIND, "y_range": model.y_range, "classes": labels, "rating": self.dls.rating_name}
        container.write(self.path / fname, arrays_of(model.state_dict()), header)


def _is_callback(thing: Any) -> bool:
    return isinstance(thing, Callback | type)


def collab_learner(
    dls: CollabDataLoaders,
    n_factors: int = 50,
    use_nn: bool = False,
    emb_szs: Sequence[tuple[int, int]] | None = None,
    layers: Sequence[int] | None = None,
    y_range: Range | None = None,
    loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
    **options: Any,
) -> Learner:
    """Make a Learner of the dot product with biases, or of a small neural net over embeddings.

    Parameters:
        dls (CollabDataLoaders): Training and validation batches.
        n_factors (int, default 50): Length of the vectors of the dot product.
        use_nn (bool, default False): Take the neural net.
        emb_szs (sequence of tuple, default None): (labels, width) of the net's embeddings; None takes get_emb_sz.
        layers (sequence of int, default None): Widths of the net's hidden layers; None takes (200, 100).
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.
        loss_func (callable, default None): A function of (scores, targets); None takes MSELossFlat().
        **options (Any): Further options of Learner.

    Returns:
        Learner: A learner with a new model.

    Raises:
        OptionError: An option lies outside its range, or the ratings of dls are classes.

    Example:
        >>> from palate.nn.book import CollabDataLoaders, collab_learner
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> learn = collab_learner(CollabDataLoaders.from_df(frame), n_factors=2, y_range=(0, 4.5))
        >>> learn.model.weight(["a", "d"]).shape
        torch.Size([2, 2])
    """
    if dls.vocab is not None:
        raise OptionError(
            "the ratings of these loaders are classes, and the models of collab_learner predict one number. Take "
            "Learner(dls, TabularModel(get_emb_sz(dls), n_cont=0, out_sz=dls.c, layers=[100, 50]), "
            "CrossEntropyLossFlat()), or make the loaders without y_block."
        )
    if not use_nn:
        model = EmbeddingDotBias.from_classes(n_factors, dls.classes, y_range)
        return Learner(dls, model, loss_func, **options)
    return Learner(dls, EmbeddingNN(emb_szs or get_emb_sz(dls), layers or (200, 100), y_range), loss_func, **options)
