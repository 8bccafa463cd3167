"""Every figure is drawn from plain numbers, the same each time, with any text as a label."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from balora.figures import as_svg
from balora.figures.dots import draw_bars, draw_dots
from balora.figures.embedding import embedding_panels
from balora.figures.front import draw_front, pareto_front
from balora.figures.heat import draw_heat_map
from balora.figures.lines import draw_lines
from balora.figures.looks import fit, look
from balora.figures.panels import draw_curves, draw_spectra
from balora.figures.series import Group, Line, Spread

A, B = Spread(0.5, 0.4, 0.6, [0.45, 0.55]), Spread(0.8)

DRAWINGS: dict[str, Callable[[str], Figure]] = {
    "dots": lambda name: draw_dots([name, "b"], [A, B], name, reference=name),
    "bars": lambda name: draw_bars([name, "b"], [(name, [A, None]), ("t", [B, A])]),
    "lines": lambda name: draw_lines([Line(name, [1, 64], [A, B]), Line("b", [1, 64], [B, A])], name, name),
    "front": lambda name: draw_front(
        [Group(name, [A, B], [B, A], [name, ""]), Group("b", [A], [A])], (name, "y"), ("lower", "higher")
    ),
    "heat": lambda name: draw_heat_map(
        [name, "b"], ["1", name], [[0.1, None], [0.3, 0.2]], labels=(name, "c", "v"), best=(1, 0)
    ),
    "curves": lambda name: draw_curves({name: [Line(name, [1, 2], [A, B])]}, [name, "b"]),
    "spectra": lambda name: draw_spectra({name: {name: [3.0, 2.0, 1.0], "tuned": [1.0]}}),
    "embedding": lambda name: embedding_panels([[(0, 0), (1, 1)]], [name], [0, 1], [name, "b"]),
}
HOSTILE = [
    "$x$ $",
    r"\frac{",
    "$\\undefined{",
    "_hidden",
    "<b>&amp;\"'",
    "a\nb\x00\x1b[31m",
    "漢字 שלום \u202e",
    "x" * 500,
    " ",
    "]]>",
]

ALL_AT_ONCE = "_$x$ $ \\frac{ <b>&amp;]]>\x00漢"


@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_figure_is_svg_and_the_same_each_time(kind: str) -> None:
    text = as_svg(DRAWINGS[kind]("LoRA"))
    assert text == as_svg(DRAWINGS[kind]("LoRA"))
    assert "LoRA" in "".join(ElementTree.fromstring(text).itertext())


@pytest.mark.parametrize(
    ("kind", "name"), [*((kind, ALL_AT_ONCE) for kind in DRAWINGS), *(("bars", name) for name in HOSTILE)]
)
def test_any_text_can_be_a_label(kind: str, name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Glyph", category=UserWarning)
        tree = ElementTree.fromstring(as_svg(DRAWINGS[kind](name)))
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not tags & {"script", "foreignObject", "a", "b", "image"} - ({"image"} if kind == "heat" else set())


def test_dollars_are_shown_as_dollars() -> None:
    text = as_svg(draw_dots(["costs $5 or $6"], [B], "x"))
    assert "costs $5 or $6" in "".join(ElementTree.fromstring(text).itertext())


def test_names_are_shortened_not_wrapped() -> None:
    assert fit("a\nb") == "a b"
    assert len(fit("x" * 99)) == 36


def test_twenty_seven_series_can_be_told_apart() -> None:
    assert len({look(index) for index in range(27)}) == 27


@pytest.mark.parametrize(
    ("better", "front"),
    [
        (("lower", "higher"), [0, 2]),
        (("higher", "higher"), [2, 3]),
        (("lower", "lower"), [0]),
        (("higher", "lower"), [1, 3]),
    ],
)
def test_pareto_front_by_hand(better, front: list[int]) -> None:
    """Points (0, 1), (1, 1), (1, 3), (2, 2)."""
    assert pareto_front([0, 1, 1, 2], [1, 1, 3, 2], *better) == front


def test_equal_points_are_both_on_the_front() -> None:
    assert pareto_front([1, 1], [2, 2], "higher", "higher") == [0, 1]


def test_no_point_of_the_front_is_beaten_and_every_other_is() -> None:
    import random

    drawn = random.Random(0)
    x, y = [drawn.random() for _ in range(60)], [drawn.random() for _ in range(60)]
    front = pareto_front(x, y, "higher", "lower")

    def beats(one: int, other: int) -> bool:
        return x[one] >= x[other] and y[one] <= y[other] and (x[one], y[one]) != (x[other], y[other])

    for index in range(60):
        assert any(beats(other, index) for other in range(60)) == (index not in front)


def test_a_map_of_one_value_and_one_of_none() -> None:
    assert as_svg(draw_heat_map(["a"], ["b"], [[0.5]], labels=("r", "c", "v")))
    assert as_svg(draw_heat_map(["a"], ["b"], [[None]], labels=("r", "c", "v")))
