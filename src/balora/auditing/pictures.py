"""The figures of a report, from the numbers that its document holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from balora.auditing.scores import Part
from balora.figures.depth import depth_heat_map, representation_lines
from balora.figures.embedding import embedding_panels
from balora.figures.reliability import reliability_diagram
from balora.figures.spectrum import spectrum_panels


def figures_of(parts: Mapping[str, Part]) -> dict[str, Figure]:
    """File name -> figure, for the chapters that there are."""
    found: dict[str, Figure] = {}
    if "drift" in parts:
        found |= _depth(parts["drift"].details)
    if "collapse" in parts:
        found |= _collapse(parts["collapse"].details)
    diagrams = parts["calibration"].details.get("reliability") if "calibration" in parts else None
    if diagrams:
        points = {
            model: [(each["confidence"], each["accuracy"], each["rows"]) for each in bins]
            for model, bins in diagrams.items()
        }
        found["reliability"] = reliability_diagram(points)
    return found


def _depth(details: Mapping[str, Any]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    modules = [each for each in details["modules"] if each["layer"] is not None]
    if modules:
        layers, kinds = [each["layer"] for each in modules], [each["kind"] for each in modules]
        norms = [each["relative_norm"] for each in modules]
        found["depth-update"] = depth_heat_map(layers, kinds, norms, title="update over weight, ‖ΔW‖ / ‖W‖")
        intruders = [each["intruders"] for each in modules]
        if any(intruders):
            title = f"intruder dimensions among the top {details['intruder_vectors']} of each weight"
            found["depth-intruders"] = depth_heat_map(layers, kinds, intruders, title=title)
    states = details["representation"]
    if states:
        columns = ([each[name] for each in states] for name in ("layer", "relative_change", "cka"))
        found["representation"] = representation_lines(*columns)
    return found


def _collapse(details: Mapping[str, Any]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    if details.get("spectrum"):
        found["spectrum"] = spectrum_panels(details["spectrum"])
    picture = details.get("embedding")
    if picture:
        steps = picture["steps"]
        found["embedding"] = embedding_panels(
            [each["points"] for each in steps],
            [_title(each) for each in steps],
            picture["labels"],
            picture["label_names"],
        )
    return found


def _title(step: Mapping[str, Any]) -> str:
    name = f"step {step['step']}" if isinstance(step["step"], int) else str(step["step"])
    return name if step["silhouette"] is None else f"{name}, silhouette {step['silhouette']:.3f}"
