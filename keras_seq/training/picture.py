"""A Matplotlib figure that a notebook shows by itself."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that needs no `pyplot`, which keeps every figure until it is closed."""

    def _repr_png_(self) -> bytes:
        """Returns what a notebook shows."""
        content = io.BytesIO()
        self.savefig(content, dpi=100, format="png")
        return content.getvalue()
