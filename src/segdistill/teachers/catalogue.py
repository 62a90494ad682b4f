"""What teachers there are, in words: looking them up needs neither torch nor their weights.

Source:
    Labels and sizes: Kirillov et al. 2023, arXiv:2304.02643 (SAM, SA-1B); Ma et al. 2024, Segment
    anything in medical images, Nature Communications 15 (MedSAM); Israel et al. 2023, bioRxiv
    2023.11.17.567630 (CellSAM); Wang et al. 2022, arXiv:2210.10163 (MedCLIP).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from safetensors import safe_open

from segdistill import plugins
from segdistill.data.channels import BLANK
from segdistill.teachers.contract import Prompting
from segdistill.teachers.published import PUBLISHED, download_command
from segdistill.teachers.weight_files import WEIGHTS, fetch_command


@dataclass(frozen=True, kw_only=True)
class KnownTeacher:
    """A teacher, or a kind of teacher that is named by a prefix and a path."""

    name: str
    """As ``load_teacher`` takes it."""

    what: str
    """What it is."""

    channels: str
    """What it must be given."""

    size: int | None
    """Side of the square that its network sees, pixels; None: any size, or its own file says."""

    licence: str
    """Licence of the weights."""

    labels: str
    """What labels it was fitted on, as far as anybody stated."""

    weights: str = ""
    """How to get the weights; empty where they are in this package or named by the path."""

    megabytes: int | None = None
    """About how much that downloads; None for nothing."""


PROMPTINGS: Mapping[Prompting, str] = {
    "boxes": "boxes of the labelled objects: an oracle, named so, for it leaks labels",
    "grid": "points all over: reads no label; what SAM takes for an object counts",
    "probe": "no prompt: a small head reads SAM's features; a run fits it on the labels, out of fold",
    "tuned": "no prompt: SAM itself was tuned on labels to answer without",
}
"""How a SAM is asked."""

_SAM_CHANNELS = "1, 2 or 3 that you name"
_PHOTOGRAPHS = "1.1 billion masks on 11 million photographs (SA-1B)"
_EMBEDDED = {
    "sam-tiny-tissue": "a SAM of 0.7 M parameters, tuned on simulated tissue, for trying things out",
    "sam-tiny-tissue-control": "the same without the membrane: its control",
}
_KINDS = (
    KnownTeacher(
        name="fit:STUDENT",
        what="a student fitted here with all the teacher's channels, never asked about an image that it saw",
        channels="those that you name",
        size=None,
        licence="yours",
        labels="yours",
    ),
    KnownTeacher(
        name="sam:PATH",
        what="any SAM on disk, tuned or not: .safetensors, .pth, or a folder in the hub's layout; also sam:OWNER/NAME",
        channels="its card's, or as sam-vit-b",
        size=None,
        licence="its card's",
        labels="its card says",
    ),
    KnownTeacher(
        name="hf:FOLDER",
        what="features of a vision encoder, also hf:OWNER/NAME: DINOv2, DINOv3, RADIO, ViT, Swin, SAM",
        channels=_SAM_CHANNELS,
        size=None,
        licence="its README.md's",
        labels="nobody stated",
    ),
    KnownTeacher(
        name="encoder:FOLDER",
        what="features of an encoder that `pretrain` or `agglomerate` made",
        channels="its card's",
        size=None,
        licence="its card's",
        labels="its card says",
    ),
    KnownTeacher(
        name="adapter:FOLDER",
        what="a SAM that `adapt` fitted to a task: what changed of it; its own weights are needed too",
        channels="its card's",
        size=None,
        licence="the SAM's",
        labels="the SAM's and its card's",
    ),
    KnownTeacher(
        name="onnx:FILE",
        what="any network in ONNX, described by a TOML file beside it",
        channels="the description's",
        size=None,
        licence="the description's",
        labels="the description says",
    ),
    KnownTeacher(
        name="maps:FOLDER",
        what="what another tool made of the same images: label images or probabilities, and a maps.toml",
        channels="none",
        size=None,
        licence="maps.toml's",
        labels="maps.toml says",
    ),
    KnownTeacher(
        name="model:FOLDER",
        what="a model that segdistill made",
        channels="its card's",
        size=None,
        licence="its card's",
        labels="its card says",
    ),
    KnownTeacher(
        name="blurred:SIGMA",
        what="the labels themselves, blurred by so many pixels: a control, as soft as a teacher and no wiser",
        channels="none",
        size=None,
        licence="yours",
        labels="those of every image that it describes",
    ),
)


_CELLSAM = KnownTeacher(
    name="cellsam",
    what="SAM ViT-B for cells, which finds its boxes by itself: no prompt, no label",
    channels=_SAM_CHANNELS,
    size=1024,
    licence=WEIGHTS["cellsam"].licence,
    labels="people's outlines of cells in TissueNet, BBBC038 and others",
    weights=fetch_command("cellsam"),
    megabytes=WEIGHTS["cellsam"].item.megabytes,
)

_MEDCLIP = KnownTeacher(
    name="medclip",
    what="features of MedCLIP's image tower, a Swin-T for radiographs",
    channels=_SAM_CHANNELS,
    size=224,
    licence=WEIGHTS["medclip"].licence,
    labels="radiographs and reports of MIMIC-CXR and CheXpert, and CheXpert's 14 findings; no masks",
    weights=fetch_command("medclip"),
    megabytes=WEIGHTS["medclip"].item.megabytes,
)

_MEDSAM2 = KnownTeacher(
    name="medsam2",
    what="features of MedSAM2's image encoder, a small SAM 2.1 (Hiera-T) for medical volumes and films",
    channels=_SAM_CHANNELS,
    size=512,
    licence=WEIGHTS["medsam2"].licence,
    labels="455,000 image-mask pairs of volumes and 76,000 frames; its features alone are taken",
    weights=fetch_command("medsam2"),
    megabytes=WEIGHTS["medsam2"].item.megabytes,
)


def known_teachers() -> tuple[KnownTeacher, ...]:
    """Return every teacher of this package, then the kinds named by a prefix, then other packages' teachers.

    >>> [teacher.name for teacher in known_teachers() if teacher.name.startswith("maps")]
    ['maps:FOLDER']
    """
    return (
        *(_embedded(name, what) for name, what in _EMBEDDED.items()),
        _published("sam-vit-b", "Segment Anything, encoder of 91 M parameters"),
        _published("sam-vit-l", "Segment Anything, encoder of 308 M parameters"),
        _published("sam-vit-h", "Segment Anything, encoder of 636 M parameters"),
        _published(
            "medsam",
            "SAM ViT-B, tuned on medical images to answer boxes",
            labels="1.57 million medical image-mask pairs",
        ),
        _CELLSAM,
        _MEDCLIP,
        _MEDSAM2,
        *_KINDS,
        *(_of_plugin(name) for name in sorted(plugins.names("teacher"))),
    )


def _published(name: str, what: str, *, labels: str = _PHOTOGRAPHS) -> KnownTeacher:
    return KnownTeacher(
        name=name,
        what=what,
        channels=_SAM_CHANNELS,
        size=1024,
        licence="Apache-2.0",
        labels=labels,
        weights=download_command(name, f"weights/{name}"),
        megabytes=PUBLISHED[name].megabytes,
    )


def _embedded(name: str, what: str) -> KnownTeacher:
    """Describe a teacher in this package by the card in the head of its file; nothing else of it is read."""
    place = resources.files("segdistill.teachers") / "embedded" / f"{name}.safetensors"
    if not place.is_file():
        missing = "not in this installation"
        return KnownTeacher(name=name, what=what, channels=missing, size=None, licence=missing, labels=missing)
    with resources.as_file(place) as path, safe_open(path, framework="np") as weights:
        card = json.loads(weights.metadata()["segdistill"])
    return KnownTeacher(
        name=name,
        what=what,
        channels=", ".join(channel for channel in card["channels"] if channel != BLANK),
        size=card["config"]["vision_config"]["image_size"],
        licence=card["licence"],
        labels=f"{card['labels_seen']} simulated fields",
    )


def _of_plugin(name: str) -> KnownTeacher:
    return KnownTeacher(
        name=name, what="from another package", channels="it says", size=None, licence="it says", labels="it says"
    )
