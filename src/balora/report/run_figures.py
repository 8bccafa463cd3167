"""Figures from the run folders: training curves with each term, spectra, embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from balora.figures.embedding import embedding_panels
from balora.figures.panels import draw_curves, draw_spectra
from balora.figures.series import Line
from balora.report.curves import curve
from balora.report.drawn import Drawn, pages, svg_of
from balora.report.numbers import number
from balora.report.run_files import audit_of, folder_of, log_series
from balora.study import Run, StudyResults
from balora.study.cells import final_runs
from balora.study.layouts import FigureLayout, selected

TERMS = {
    "loss": "total loss",
    "task_loss": "task loss",
    "consistency": "consistency, unweighted",
    "diversity": "diversity, unweighted",
    "spectral": "spectral, unweighted",
    "eval_loss": "validation loss",
}
"""What curves show when a study does not say, and how it is called."""

_LONGEST_SPECTRUM = 64
_MOST_POINTS = 1500
_MOST_CLASSES = 12


def run_figures(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    """The figures of one layout that asks for logs or audits."""
    draw = {"curves": _curves, "spectrum": _spectra, "embedding": _embeddings}[layout.kind]
    yield from draw(results, layout)


def _done(results: StudyResults, levels: Mapping[str, str]) -> list[Run]:
    return [run for run in final_runs(results, levels) if run.state == "done"]


def _curves(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    axis = results.compare
    wanted = {name: TERMS.get(name, name) for name in layout.terms or TERMS}
    for page in pages(results, layout, [axis]):
        panels: dict[str, list[Line]] = {}
        rows = []
        levels = selected(results, layout.only, axis)
        for level in levels:
            folders = [folder_of(results, run) for run in _done(results, {**page.fixed, axis: level})]
            logs = [log_series(folder) for folder in folders if folder is not None]
            for name, title in wanted.items():
                line = curve(level, [log.get(name, []) for log in logs])
                if line is not None:
                    panels.setdefault(name, []).append(line)
                    first, last = line.y[0], line.y[-1]
                    seeds = sum(bool(log.get(name)) for log in logs)
                    ends = [number(each, 4) for each in (first.mean, last.mean, last.low, last.high)]
                    rows.append([level, title, str(seeds), *ends])
        if not panels:
            continue
        ordered = {wanted[name]: panels[name] for name in wanted if name in panels}
        title = page.titled(layout.title or "Training curves")
        caption = "Mean over seeds of what training logged; bands are the range over seeds."
        header = (axis, "quantity", "seeds", "first", "last", "last, lowest seed", "last, highest seed")
        drawn = {line.name for lines in ordered.values() for line in lines}
        names = [level for level in levels if level in drawn]
        yield Drawn("curves", title, caption, svg_of(draw_curves(ordered, names)), header, rows)


def _spectra(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    """One panel per compared level: the first seed that has an audit, base beside tuned."""
    axis = results.compare
    for page in pages(results, layout, [axis]):
        found: dict[str, dict[str, dict[str, list[float]]]] = {}
        for level in selected(results, layout.only, axis):
            for kind, curves in _first_collapse(results, {**page.fixed, axis: level}, "spectrum").items():
                known = {str(name): values for name, raw in _items(curves) if (values := _floats(raw))}
                if known:
                    found.setdefault(str(kind), {})[level] = known
        for kind, panels in found.items():
            title = page.titled(layout.title or f"Spectrum of the {kind}")
            caption = "Singular values as a share of the largest, of the first seed with an audit."
            rows = [
                [level, name, " ".join(number(value, 3) for value in values[:12])]
                for level, curves in panels.items()
                for name, values in curves.items()
            ]
            header = (axis, "of", "largest values")
            yield Drawn("spectrum", title, caption, svg_of(draw_spectra(panels)), header, rows)


def _embeddings(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    axis = results.compare
    for page in pages(results, layout, [axis]):
        for level in selected(results, layout.only, axis):
            found = _first_collapse(results, {**page.fixed, axis: level}, "embedding")
            labels, names = _classes(found)
            clouds: list[list[tuple[float, float]]] = []
            titles: list[str] = []
            rows: list[list[str]] = []
            for step in found.get("steps", []) if isinstance(found.get("steps"), list) else []:
                points = _points(step)
                if clouds and len(points) != len(clouds[0]):
                    continue
                if points and (not labels or len(points) == len(labels)):
                    silhouette = _floats([step.get("silhouette")])
                    score = number(silhouette[0], 3) if silhouette else "not given"
                    clouds.append(points)
                    titles.append(f"{_moment(step.get('step'))}, silhouette {score}")
                    rows.append([_moment(step.get("step")), score, str(len(points))])
            if clouds:
                title = page.titled(f"{layout.title or 't-SNE of the features'}: {level}")
                by_class = f" by class ({', '.join(names)})" if labels else ""
                caption = f"Examples{by_class}, of the first seed with an audit."
                svg = svg_of(embedding_panels(clouds, titles, labels, names))
                yield Drawn("embedding", title, caption, svg, ("moment", "silhouette", "examples"), rows)


def _first_collapse(results: StudyResults, levels: Mapping[str, str], part: str) -> Mapping[str, Any]:
    for run in _done(results, levels):
        folder = folder_of(results, run)
        collapse = audit_of(folder).get("collapse") if folder is not None else None
        found = collapse.get(part) if isinstance(collapse, dict) else None
        if isinstance(found, dict) and found:
            return found
    return {}


def _moment(step: Any) -> str:
    return f"step {step}" if isinstance(step, int) else {"base": "before", "tuned": "after"}.get(str(step), str(step))


def _classes(found: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    raw = found.get("labels")
    labels = raw[:_MOST_POINTS] if isinstance(raw, list) and all(type(label) is int for label in raw) else []
    given = found.get("label_names")
    names = [str(name) for name in given] if isinstance(given, list) else []
    highest = max(labels, default=-1)
    if highest >= _MOST_CLASSES or min(labels, default=0) < 0:
        return [], []
    return labels, [names[index] if index < len(names) else f"class {index}" for index in range(highest + 1)]


def _points(step: Any) -> list[tuple[float, float]]:
    raw = step.get("points") if isinstance(step, dict) else None
    pairs = [_floats(pair) for pair in raw[:_MOST_POINTS]] if isinstance(raw, list) else []
    return [(pair[0], pair[1]) for pair in pairs] if all(len(pair) == 2 for pair in pairs) else []


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _floats(raw: Any) -> list[float]:
    """The numbers of a list when all of it is finite numbers; otherwise none."""
    values: Sequence[Any] = raw if isinstance(raw, list) else []
    good = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e30 for v in values)
    return [float(value) for value in values[:_LONGEST_SPECTRUM]] if good else []
