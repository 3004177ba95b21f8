"""Plots where a translator looks."""

import warnings
from pathlib import Path
from typing import Any

from keras_seq.console import print_status
from keras_seq.errors import UserError

SUFFIXES = (".png", ".svg", ".pdf")
MORE_LETTERS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC"),
    *("WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic"),
    *("Arial Unicode MS", "Noto Sans", "Noto Sans Arabic", "Noto Sans Devanagari"),
    "Noto Sans Thai",
)


def require_plot_path(path: str | Path) -> None:
    """Raises UserError if no plot can be saved at `path`."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"The name of a plot ends in {', '.join(SUFFIXES)}. Received: {path}")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} to save {path.name} in. Make it first.")


def plot_attention(path: str | Path, attention: dict[str, Any]) -> None:
    """Plots what `Translator.attention` returns: a row for each token written, a column for each
    token read; darker means more attention.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    source, target = (
        [_escape(token) for token in attention[side]] for side in ("source", "target")
    )
    size = (2 + 0.32 * len(source), 1.6 + 0.32 * len(target))
    # A browser that shows an .svg takes letters from all fonts it has.
    style = {"font.family": _fonts(), "svg.fonttype": "none"}
    with rc_context(style), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.imshow(attention["weights"], cmap="Blues", vmin=0, aspect="auto")
        axes.set_xticks(range(len(source)), source, rotation=90)
        axes.set_yticks(range(len(target)), target)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        figure.savefig(path, dpi=120)
    missing = any("missing from font" in str(warning.message) for warning in caught)
    if missing and Path(path).suffix.lower() != ".svg":
        print_status(
            "No font on this machine has all of these letters: boxes stand for some. Install Noto "
            "Sans CJK or another that has them, or plot an .svg."
        )


def _fonts() -> list[str]:
    """Returns Matplotlib's own font, and those of this machine that have more letters."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in MORE_LETTERS if name in installed)]


def _escape(token: str) -> str:
    """Returns a token with visible spaces and without what Matplotlib reads as mathematics."""
    return token.replace(" ", "␣").replace("$", r"\$")
