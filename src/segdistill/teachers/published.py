"""Weights that can be had, and where. Looking them up needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where the weights of a teacher are published."""

    architecture: str
    """Name of the size of SAM."""

    hub: str
    """Repository on the Hugging Face hub."""

    file: str
    """The file of weights in it."""

    megabytes: int
    """About how much is downloaded."""

    original: str
    """Name of the authors' own file."""

    original_sha256: str | None = None
    """SHA-256 of that file; None: not known here."""


PUBLISHED: Mapping[str, Published] = {
    "sam-vit-b": Published(
        architecture="sam-vit-b",
        hub="facebook/sam-vit-base",
        file="model.safetensors",
        megabytes=375,
        original="sam_vit_b_01ec64.pth",
        original_sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "sam-vit-l": Published(
        architecture="sam-vit-l",
        hub="facebook/sam-vit-large",
        file="model.safetensors",
        megabytes=1249,
        original="sam_vit_l_0b3195.pth",
        original_sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "sam-vit-h": Published(
        architecture="sam-vit-h",
        hub="facebook/sam-vit-huge",
        file="model.safetensors",
        megabytes=2564,
        original="sam_vit_h_4b8939.pth",
        original_sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    "medsam": Published(
        architecture="sam-vit-b",
        hub="wanglab/medsam-vit-base",
        file="pytorch_model.bin",
        megabytes=375,
        original="medsam_vit_b.pth",
    ),
}
"""Teachers whose weights are not in this package."""


def download_command(name: str, folder: str) -> str:
    """Return the command that gets a published teacher's weights.

    >>> download_command("medsam", "weights/medsam")
    'hf download wanglab/medsam-vit-base pytorch_model.bin config.json --local-dir weights/medsam'
    """
    source = PUBLISHED[name]
    return f"hf download {source.hub} {source.file} config.json --local-dir {folder}"


def pinned_sha256(file: str) -> str | None:
    """Return the SHA-256 that a file of this name has if it is the authors' own; None for other names.

    >>> pinned_sha256("sam_vit_b_01ec64.pth")[:12], pinned_sha256("mine.pth")
    ('ec2df6273261', None)
    """
    return {source.original: source.original_sha256 for source in PUBLISHED.values()}.get(file)
