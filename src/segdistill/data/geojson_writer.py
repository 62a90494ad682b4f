"""Outlines as GeoJSON (RFC 7946), as QuPath 0.4 and later read it, written object by object."""

import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from segdistill.data.object_table import in_figures, sizes_of
from segdistill.data.objects import Objects
from segdistill.data.rings import Area, Ring
from segdistill.files import whole_file


def write_geojson(path: Path, structures: Iterable[Objects], *, image: str) -> None:
    """Write the objects of an image: one feature each, its class the structure's name.

    Objects that are told apart become detections, a structure as a whole becomes one annotation. Coordinates are
    pixels of the image at full resolution, x before y, from its upper left corner; corners are corners of
    pixels, so the outlines give back the label image exactly. An object of several pieces is a MultiPolygon. Equal
    objects give equal bytes, and each has an identifier of its own.

    Args:
        path: Ends in .geojson.
        structures: Of one image.
        image: Its name, a part of the identifiers: objects of two images never share one.

    Raises:
        EnvironmentFault: The disk is full or the folder cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write('{"type":"FeatureCollection","features":[')
        comma = "\n"
        for objects in structures:
            for feature in _features(objects, image):
                handle.write(comma + feature)
                comma = ",\n"
        handle.write("\n]}\n")


def _features(objects: Objects, image: str) -> Iterator[str]:
    sizes = sizes_of(objects.measured, objects.pixel_size)
    kind, told_apart = objects.structure.name, objects.structure.instances
    type_, class_ = json.dumps("detection" if told_apart else "annotation"), json.dumps(kind)
    for area in objects.areas():
        place = int(np.searchsorted(objects.measured.label, area.label))
        numbers = ",".join(f'"{name}":{in_figures(values[place].item())}' for name, values in sizes.items())
        name = json.dumps(f"{kind} {area.label}" if told_apart else kind)
        geometry = _geometry(area)
        # QuPath drops identifiers that are no UUID. It is made of the object, so that a repeated run makes the same.
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"segdistill:{image}:{kind}:{area.label}:{geometry}")
        yield (
            f'{{"type":"Feature","id":"{identifier}","geometry":{geometry},"properties":{{"objectType":{type_},'
            f'"name":{name},"classification":{{"name":{class_}}},"measurements":{{{numbers}}}}}}}'
        )


def _geometry(area: Area) -> str:
    parts = ["[" + ",".join(map(_closed, part)) + "]" for part in area.parts]
    if len(parts) == 1:
        return f'{{"type":"Polygon","coordinates":{parts[0]}}}'
    return f'{{"type":"MultiPolygon","coordinates":[{",".join(parts)}]}}'


def _closed(ring: Ring) -> str:
    """Return a ring as text; its first corner is repeated at its end, as the format wants it.

    >>> _closed(np.int32([[0, 0], [1, 0], [1, 1], [0, 1]]))
    '[[0,0],[1,0],[1,1],[0,1],[0,0]]'
    """
    corners = ring.tolist()
    return json.dumps([*corners, corners[0]], separators=(",", ":"))
