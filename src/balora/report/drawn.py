"""A figure on a page: the picture, words for those who cannot see it, and the numbers behind it."""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib.figure import Figure

from balora.figures import as_svg
from balora.study import StudyResults
from balora.study.cells import varied_axes
from balora.study.layouts import FigureLayout, selected

MOST_PAGES = 8
"""Figures from one layout: one per level of each axis that has no place in it, up to here."""

_PATH = re.compile(r' d="([^"]*)"')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One figure, or the reason why there is none."""

    kind: str
    title: str
    caption: str
    svg: str
    """Empty where nothing could be drawn; then the caption says why."""
    header: Sequence[str] = ()
    """Of the numbers behind it."""
    rows: Sequence[Sequence[str]] = ()

    @property
    def source(self) -> str:
        """The picture as a data URL. Inside an img element no script of it would run, and no name in it can clash."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode("ascii")

    @property
    def alt(self) -> str:
        """The picture in words."""
        return f"{self.title}. {self.caption} The numbers are in the table below the figure."


@dataclass(frozen=True, slots=True)
class Page:
    """The levels that one figure of a layout stands at."""

    fixed: Mapping[str, str]
    left_out: int = 0
    """How many more figures there would be after this one, which are not drawn."""

    def titled(self, title: str) -> str:
        """The title with the place behind it."""
        where = ", ".join(f"{axis} {level}" for axis, level in self.fixed.items())
        more = f"; {self.left_out} more are not drawn" if self.left_out else ""
        return f"{title} ({where}{more})" if where else title


def svg_of(figure: Figure) -> str:
    """The figure's text with coordinates of a hundredth of a point; letters that a font lacks raise no alarm."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Glyph", category=UserWarning)
        text = as_svg(figure)
    return _PATH.sub(lambda path: _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", path[0]), text)


def pages(results: StudyResults, layout: FigureLayout, used: Sequence[str | None]) -> Iterator[Page]:
    """One page per combination of levels of the axes that the figure does not use; the last tells what is left out."""
    others = [axis for axis in varied_axes(results) if axis not in used]
    combinations = list(product(*(selected(results, layout.only, axis) for axis in others)))
    for number, levels in enumerate(combinations[:MOST_PAGES], 1):
        left_out = len(combinations) - MOST_PAGES if number == MOST_PAGES else 0
        yield Page(dict(zip(others, levels, strict=True)), left_out)
