"""The summary of a Learner: a table of the layers of its model."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from palate.nn.models import evaluating


class Text(str):
    """A text that notebooks show as print does."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary_of(learn: Any) -> Text:
    """The layers with their output shapes and parameters, then the loss, the optimizer and the callbacks."""
    x = learn.dls.one_batch()[0]
    shapes = _shapes(learn.model, x.to(learn.device))
    own = {name: list(module.parameters(recurse=False)) for name, module in learn.model.named_modules()}
    modules = dict(learn.model.named_modules())
    rows = [("layer", "type", "output shape", "parameters", "trained")]
    for name, module in modules.items():
        if own[name] or not list(module.children()):
            count = sum(parameter.numel() for parameter in own[name])
            trained = "" if not own[name] else "yes" if any(p.requires_grad for p in own[name]) else "no"
            rows.append((name or "(model)", type(module).__name__, shapes.get(name, ""), f"{count:,}", trained))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    parameters = list(learn.model.parameters())
    total, trained_total = (
        sum(p.numel() for p in chosen) for chosen in (parameters, [p for p in parameters if p.requires_grad])
    )
    return Text(
        "\n".join(
            [
                f"{type(learn.model).__name__} (input shape: {' x '.join(map(str, x.shape))})",
                *lines,
                f"parameters: {total:,}, of them trained: {trained_total:,}",
                f"loss: {_name(learn.loss)}; optimizer: {type(learn.optimizer).__name__}; callbacks: "
                + (", ".join(_name(callback) for callback in learn.callbacks) or "none"),
            ]
        )
    )


def _name(thing: Any) -> str:
    return str(getattr(thing, "__name__", type(thing).__name__))


def _shapes(model: nn.Module, x: Tensor) -> dict[str, str]:
    """The shape of what each module gives for a batch, by name."""
    shapes: dict[str, str] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            shapes[name] = " x ".join(map(str, output.shape)) if isinstance(output, Tensor) else ""

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules()]
    try:
        with evaluating(model):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
