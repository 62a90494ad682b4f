"""Outlines from GeoJSON (RFC 7946) as QuPath exports it: one feature per object."""

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float64

from segdistill.data.outline import Outline
from segdistill.data.readers.faults import reading
from segdistill.errors import DataError


def read_geojson(path: Path) -> list[Outline]:
    """Return the objects of a GeoJSON file.

    Args:
        path: A FeatureCollection, a Feature, or, as older versions of QuPath wrote, a list of features.
            A collection without features is data: nothing is there. Of a cell with a nucleus the cell
            is taken; names and classes are not read, but objects of QuPath's class ``Ignore*`` are refused.

    Raises:
        DataError: The file is damaged, or an object is no Polygon or MultiPolygon.
    """
    with reading(str(path), "GeoJSON"):
        document = json.loads(path.read_text("utf-8-sig"))
    return [_outline(path, number, feature) for number, feature in enumerate(_features(path, document), start=1)]


def _features(path: Path, document: Any) -> list[Any]:
    features = document
    if isinstance(document, dict):
        features = [document] if document.get("type") == "Feature" else document.get("features")
    if not isinstance(features, list):
        raise DataError(
            f"{path} holds no features: it is no FeatureCollection. Export the objects from QuPath as GeoJSON"
            " (File > Export objects as GeoJSON)."
        )
    return features


def _outline(path: Path, number: int, feature: Any) -> Outline:
    name = f"feature {number}"
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        _refuse(path, name, "has no geometry")
    properties = feature.get("properties") or {}
    if isinstance(properties, dict):
        name += f" ({properties['name']!r})" if properties.get("name") else ""
        _refuse_ignored(path, name, properties.get("classification"))
    areas = {"Polygon": lambda c: [c], "MultiPolygon": list}.get(geometry.get("type") or "")
    if areas is None:
        _refuse(path, name, f"is a {geometry.get('type')}, which has no area")
    try:
        parts = tuple(tuple(_ring(ring) for ring in area) for area in areas(geometry["coordinates"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {name} has coordinates that cannot be read ({error}). Export it again.") from error
    if not parts or not all(parts):
        _refuse(path, name, "has no corners")
    return Outline(name, parts)


def _ring(corners: Any) -> Float64[np.ndarray, "_ 2"]:
    ring = np.array([corner[:2] for corner in corners], dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise ValueError("a ring needs three corners of x and y")
    if not np.isfinite(ring).all():
        raise ValueError("a corner is not finite")
    return ring


def _refuse_ignored(path: Path, name: str, classification: Any) -> None:
    kind = classification.get("name") if isinstance(classification, dict) else classification
    if isinstance(kind, str) and kind.startswith("Ignore"):
        _refuse(path, name, f"has the class {kind}, which marks pixels that count for nothing")


def _refuse(path: Path, name: str, what: str) -> NoReturn:
    raise DataError(
        f"{path}: {name} {what}. Labels are polygons, one for each object: take it out of the export"
        " (regions that count for nothing go to ignore/, in a file of their own)."
    )
