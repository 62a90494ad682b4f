"""Twelve structures of a head and neck seen from the side, as chains of tubes, and where they are during a swallow.

Places are y, x in heights of the frame, the face to the left. A chain of tubes of changing width is all there is: the
length of a ray in it is a chord, which is what makes edges soft and overlaps add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from segdistill.data.simulate.fluoroscopy.swallow import Moment

Points = Float[np.ndarray, "n 2"]
Radii = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Chain:
    """Tubes from point to point, their radius changing evenly between."""

    points: Points
    radii: Radii


@dataclass(frozen=True, eq=False)
class Person:
    """How somebody differs from the model, and what the structures take of the beam."""

    size: float
    """Of everything, over the model's."""
    tilt: float
    """Of the head, radians."""
    shift: tuple[float, float]
    """y, x."""
    widths: Mapping[str, float]
    """Radius of each structure over the model's."""
    places: Mapping[str, tuple[float, float]]
    """y, x by which each structure lies off."""
    densities: Mapping[str, float]
    """What the thickest place of each takes of the beam, as the negative logarithm of what is left; below 0 for air."""


_REST: Mapping[str, Sequence[tuple[float, float, float]]] = {
    "mandible": (
        (0.63, 0.17, 0.040),
        (0.61, 0.30, 0.034),
        (0.56, 0.45, 0.032),
        (0.42, 0.50, 0.028),
        (0.31, 0.51, 0.02),
    ),
    "hard_palate": ((0.335, 0.13, 0.016), (0.315, 0.28, 0.013), (0.325, 0.42, 0.011)),
    "soft_palate": ((0.33, 0.43, 0.014), (0.355, 0.49, 0.017), (0.42, 0.53, 0.012)),
    "tongue": ((0.46, 0.20, 0.045), (0.42, 0.30, 0.072), (0.44, 0.40, 0.078), (0.53, 0.46, 0.060), (0.60, 0.47, 0.04)),
    "hyoid": ((0.675, 0.38, 0.010), (0.670, 0.44, 0.014), (0.660, 0.47, 0.009)),
    "epiglottis": ((0.685, 0.490, 0.010), (0.635, 0.510, 0.011), (0.590, 0.530, 0.007)),
    "thyroid_cartilage": ((0.735, 0.40, 0.022), (0.775, 0.43, 0.028), (0.825, 0.45, 0.024)),
    "airway": ((0.715, 0.495, 0.016), (0.78, 0.490, 0.026), (0.90, 0.495, 0.030), (1.10, 0.51, 0.030)),
    "pharynx": ((0.45, 0.565, 0.022), (0.55, 0.565, 0.026), (0.64, 0.565, 0.024), (0.72, 0.560, 0.014)),
    "oesophagus": ((0.74, 0.565, 0.013), (0.86, 0.578, 0.012), (1.10, 0.600, 0.012)),
}
_VERTEBRAE = ((0.40, 0.66), (0.505, 0.665), (0.61, 0.672), (0.715, 0.68), (0.82, 0.688), (0.93, 0.70))
_VERTEBRA = 0.034
"""Radius of a body, which is a short tube along x."""

_DENSITIES = {
    "vertebrae": 0.75,
    "mandible": 0.70,
    "hard_palate": 0.40,
    "soft_palate": 0.14,
    "tongue": 0.30,
    "hyoid": 0.38,
    "epiglottis": 0.13,
    "thyroid_cartilage": 0.26,
    "airway": -0.32,
    "pharynx": -0.24,
    "oesophagus": 0.12,
    "bolus": 1.5,
}
_PATH = (
    (0.36, 0.20),
    (0.345, 0.33),
    (0.375, 0.46),
    (0.46, 0.555),
    (0.60, 0.565),
    (0.73, 0.562),
    (0.90, 0.582),
    (1.2, 0.61),
)
"""Of the bolus: over the tongue, down the pharynx, through the oesophagus, out of the frame."""
_BOLUS = 0.030
_PUSHED = np.array([[-0.011, 0.0], [-0.022, 0.011], [0.0, 0.022], [0.011, 0.033], [0.0, 0.022]])
"""How far the tongue's points go, y, x, when it is furthest."""
_OPENED = np.array([[0.02], [0.016], [0.01], [0.004], [0.0]])
"""How far the jaw's points go down when it is open."""
_AIR_LEFT = 0.35
"""Radius of the pharynx while it is squeezed, over its radius at rest."""


def draw_person(generator: np.random.Generator, variation: float) -> Person:
    """Return somebody.

    Args:
        generator: Where the random numbers come from.
        variation: 0 returns the model itself.
    """
    names = list(_DENSITIES)

    def around(spread: float) -> float:
        return float(np.exp(variation * spread * generator.standard_normal()))

    def off(spread: float) -> float:
        return float(variation * spread * generator.standard_normal())

    return Person(
        size=around(0.08),
        tilt=off(0.08),
        shift=(off(0.03), off(0.03)),
        widths={name: around(0.12) for name in names},
        places={name: (off(0.006), off(0.006)) for name in names},
        densities={name: value * around(0.2) for name, value in _DENSITIES.items()},
    )


def pose(person: Person, moment: Moment) -> dict[str, list[Chain]]:
    """Return where everything is at a moment; nothing where the bolus has left.

    Args:
        person: Who swallows.
        moment: How far the swallow is.
    """
    model = {name: [_chain(rest)] for name, rest in _REST.items()}
    model["vertebrae"] = [_vertebra(y, x) for y, x in _VERTEBRAE]
    lifted = moment.lift * np.array([-0.055, -0.040])  # up and forward
    model["hyoid"] = [_moved(model["hyoid"][0], lifted)]
    for name in ("thyroid_cartilage", "airway"):
        model[name] = [_moved(model[name][0], lifted * _weights(model[name][0], 0.70, 1.0))]
    model["epiglottis"] = [_tipped(model["epiglottis"][0], 1.9 * moment.lift, 0.85 * lifted)]
    model["soft_palate"] = [_tipped(model["soft_palate"][0], 0.9 * moment.seal, np.zeros(2))]
    model["tongue"] = [
        _moved(model["tongue"][0], moment.push * np.array([[-1, 0], [-2, 1], [0, 2], [1, 3], [0, 2]]) / 90)
    ]
    model["mandible"] = [_moved(model["mandible"][0], moment.chew * np.array([[0.02], [0.016], [0.01], [0.004], [0]]))]
    model["pharynx"] = [_squeezed(_moved(model["pharynx"][0], 0.5 * lifted * np.array([1.0, 0.0])), moment.squeeze)]
    if moment.travelled is not None:
        model["bolus"] = [_bolus(moment.travelled, moment.length)]
    return {name: [_of(person, name, chain, moment) for chain in chains] for name, chains in model.items()}


def _chain(rest: Sequence[tuple[float, float, float]]) -> Chain:
    table = np.array(rest)
    return Chain(table[:, :2], table[:, 2])


def _vertebra(y: float, x: float) -> Chain:
    return Chain(np.array([[y, x - 0.022], [y + 0.006, x + 0.022]]), np.array([_VERTEBRA, _VERTEBRA]))


def _moved(chain: Chain, by: Float[np.ndarray, "..."]) -> Chain:
    return replace(chain, points=chain.points + by)


def _weights(chain: Chain, top: float, bottom: float) -> Float[np.ndarray, "n 1"]:
    """Return 1 at a height and less below it, down to 0: what hangs on the larynx follows it less, the lower it is."""
    return np.clip((bottom - chain.points[:, [0]]) / (bottom - top), 0, 1)


def _tipped(chain: Chain, angle: float, by: Float[np.ndarray, "2"]) -> Chain:
    """Turn a chain about its first point, backwards for angles above 0, and move it."""
    root = chain.points[:1]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return replace(chain, points=root + (chain.points - root) @ turn + by)


def _squeezed(chain: Chain, squeeze: float) -> Chain:
    return replace(chain, radii=chain.radii * (1 - (1 - _AIR_LEFT) * squeeze))


def _bolus(travelled: float, length: float) -> Chain:
    """Return a stretch of the path: thin at its tail, thick behind its head."""
    path = np.array(_PATH)
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1)))
    head = travelled * (along[-1] - 0.02) + 0.02
    places = np.linspace(max(0.0, head - length), head, 6)
    points = np.stack([np.interp(places, along, path[:, axis]) for axis in (0, 1)], axis=1)
    return Chain(points, _BOLUS * np.array([0.35, 0.65, 0.9, 1.0, 0.95, 0.6]))


def _of(person: Person, name: str, chain: Chain, moment: Moment) -> Chain:
    """Bring a chain of the model to a person, who sways."""
    points = chain.points + np.array(person.places[name])
    angle, centre = person.tilt + moment.sway[2], np.array([0.6, 0.5])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = centre + person.size * (points - centre) @ turn + np.array(person.shift) + np.array(moment.sway[:2])
    return Chain(points, chain.radii * person.widths[name] * person.size)
