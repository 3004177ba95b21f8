"""The picture of where a translator looked."""

from pathlib import Path
from typing import Any

from keras_seq.errors import UserError

SUFFIXES = (".png", ".svg", ".pdf")


def require_picture(path: str | Path) -> None:
    """Raises UserError where no picture can be drawn: before there is one."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"A picture's name ends in {', '.join(SUFFIXES)}. Received: {path}")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} to draw {path.name} in. Make it first.")


def draw_attention(path: str | Path, found: dict[str, Any]) -> None:
    """Draws what `Translator.attention` gives: a row for each token written, a column for each
    token read, the darker the more.
    """
    from matplotlib.figure import Figure

    source, target = ([_shown(token) for token in found[side]] for side in ("source", "target"))
    size = (2 + 0.32 * len(source), 1.6 + 0.32 * len(target))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.imshow(found["weights"], cmap="Blues", vmin=0, aspect="auto")
    axes.set_xticks(range(len(source)), source, rotation=90)
    axes.set_yticks(range(len(target)), target)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.savefig(path, dpi=120)


def _shown(token: str) -> str:
    """A token with its spaces to be seen, and nothing that Matplotlib takes for mathematics."""
    return token.replace(" ", "␣").replace("$", r"\$")
