"""CHAOS: abdominal CT and MRI, slice by slice; organs as grey values.

Source:
    Kavur et al. 2021, Medical Image Analysis 69, doi:10.1016/j.media.2020.101950; ranges of the grey
    values: chaos.grand-challenge.org. Archive: doi:10.5281/zenodo.3431873; its SHA-256 is that which
    the ``torch_em`` package pins and others report.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from segdistill.data.labels import read_labels
from segdistill.data.readers import read_image
from segdistill.datasets.entry import Entry, Part, Prepared, Row, files, refuse_empty
from segdistill.datasets.writing import write_image, write_mask
from segdistill.errors import DataError
from segdistill.fetch import Item

LAYOUT = (
    "Train_Sets/MR/1/T1DUAL/DICOM_anon/InPhase/*.dcm, …/OutPhase/*.dcm, T1DUAL/Ground/*.png, T2SPIR/DICOM_anon/*.dcm,"
    " T2SPIR/Ground/*.png, and Train_Sets/CT/1/DICOM_anon/*.dcm, Ground/*.png"
)
ORGANS: Mapping[str, tuple[int, int]] = {
    "liver": (55, 70),
    "right_kidney": (110, 135),
    "left_kidney": (175, 200),
    "spleen": (240, 255),
}
"""Organ to the lowest and the highest grey value that means it in MRI. In CT any value above 0 is liver."""

_DIGITS = re.compile(r"\d+")

_Slices = tuple[Mapping[str, list[Path]], list[Path]]
"""Channel to DICOM files in order, and the masks in the same order."""


def prepare(source: Path, out: Path) -> Prepared:
    """Write the slices as images and the organs as masks; one manifest per kind of scan, one group per patient.

    ``t1dual`` has two channels, in_phase and out_phase, which were taken together; ``t2spir`` and ``ct``
    have one. A slice and its mask, and both phases, belong together by the order of the numbers in
    their names, as the challenge has it; positions in the files' heads are not always in that order.

    Raises:
        MissingExtra: What reads DICOM files is not installed.
        DataError: A file is damaged or missing.
    """
    makers: dict[str, tuple[str, Callable[[Path], _Slices]]] = {
        "t1dual": ("MR", _t1dual),
        "t2spir": ("MR", _t2spir),
        "ct": ("CT", _ct),
    }
    manifests = {}
    for kind, (folder, slices) in makers.items():
        patients = [path for path in files(source, f"{folder}/*") if path.is_dir()]
        rows = tuple(row for patient in patients for row in _patient(patient, kind, slices(patient), out))
        manifests |= {kind: rows} if rows else {}
    refuse_empty(manifests, source, LAYOUT)
    return Prepared(manifests=manifests)


def _t1dual(patient: Path) -> _Slices:
    scans = {"in_phase": patient / "T1DUAL/DICOM_anon/InPhase", "out_phase": patient / "T1DUAL/DICOM_anon/OutPhase"}
    return {name: ordered(folder, "*.dcm") for name, folder in scans.items()}, ordered(
        patient / "T1DUAL/Ground", "*.png"
    )


def _t2spir(patient: Path) -> _Slices:
    scan = {"t2spir": ordered(patient / "T2SPIR/DICOM_anon", "*.dcm")}
    return scan, ordered(patient / "T2SPIR/Ground", "*.png")


def _ct(patient: Path) -> _Slices:
    return {"ct": ordered(patient / "DICOM_anon", "*.dcm")}, ordered(patient / "Ground", "*.png")


def ordered(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder by the numbers in their names; none where there is no folder.

    Numbers are compared one after the other, so ``IMG-0004-00010`` comes after ``IMG-0004-00002``.
    """
    found = folder.glob(pattern) if folder.is_dir() else ()
    return sorted(found, key=lambda path: ([int(number) for number in _DIGITS.findall(path.stem)], path.name))


def _patient(patient: Path, kind: str, slices: _Slices, out: Path) -> Iterator[Row]:
    scans, masks = slices
    if not masks:
        return
    counts = {len(masks), *(len(scan) for scan in scans.values())}
    if len(counts) > 1:
        found = ", ".join(f"{len(scan)} slices {name}" for name, scan in scans.items())
        raise DataError(
            f"{patient} has {found} and {len(masks)} masks, so they cannot be paired. Get the archive again."
        )
    group = f"{patient.parent.name.lower()}-{patient.name}"
    for number, mask in enumerate(masks):
        name = f"{kind}/{patient.name}/{number:03d}"
        image = out / "images" / f"{name}.ome.tif"
        _write_scan(image, {channel: scan[number] for channel, scan in scans.items()})
        yield Row(name=name, image=image, labels=_write_organs(mask, name, kind, out), group=group)


def _write_scan(path: Path, scans: Mapping[str, Path]) -> None:
    read = [read_image(scan) for scan in scans.values()]
    if len({each.array.shape for each in read}) > 1:
        raise DataError(f"{' and '.join(map(str, scans.values()))} differ in size, so they are not one image.")
    write_image(path, np.concatenate([each.array for each in read]), tuple(scans), pixel_size=read[0].pixel_size)


def _write_organs(mask: Path, name: str, kind: str, out: Path) -> dict[str, Path]:
    values = read_labels(mask)
    organs = {"liver": (1, 255)} if kind == "ct" else ORGANS
    strange = values[
        (values > 0) & ~np.any([(values >= low) & (values <= high) for low, high in organs.values()], axis=0)
    ]
    if strange.size:
        raise DataError(f"{mask} has the grey value {strange[0]}, which means no organ. Get the archive again.")
    written = {}
    for organ, (low, high) in organs.items():
        written[organ] = out / "labels" / organ / f"{name}.png"
        write_mask(written[organ], (values >= low) & (values <= high))
    return written


ENTRY = Entry(
    what="abdominal scans, slice by slice: 20 patients of CT, 20 of MRI in three sequences",
    labels="liver, right_kidney, left_kidney, spleen (binary); in CT liver alone",
    licence="CC-BY-NC-SA-4.0",
    page="https://doi.org/10.5281/zenodo.3431873",
    layout=LAYOUT,
    prepare=prepare,
    parts=(
        Part(
            item=Item(
                name="CHAOS_Train_Sets.zip",
                address="https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip",
                checksum="sha256:535f7d3417a0e0f0d9133fb3d962423d2a9cf3f103e4f09a3d8a1daf87d5d2fc",
                megabytes=891,
            ),
            into="CHAOS_Train_Sets",
        ),
    ),
    settings="--label-kind binary",
)
