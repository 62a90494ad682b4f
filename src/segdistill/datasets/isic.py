"""ISIC: dermoscopic images of the yearly challenges, lesions outlined. The layout is that of 2016, 2017 and 2018.

Source:
    Codella et al. 2019, arXiv:1902.03368 (2018, task 1). Addresses: challenge.isic-archive.com/data.
    Hashes: those that the ``torch_em`` package pins.
"""

import re
from pathlib import Path

from segdistill.data.case import SPLIT_WORDS, Split
from segdistill.datasets.entry import Entry, Part, Prepared, Row, files, opened, refuse_empty
from segdistill.errors import DataError
from segdistill.fetch import Item

LAYOUT = (
    "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg and ISIC2018_Task1_Training_GroundTruth/"
    "ISIC_0000000_segmentation.png; the same with Validation and Test"
)
_SITE = "https://isic-challenge-data.s3.amazonaws.com/2018"
_SIZES = {"Training": 10_400, "Validation": 230, "Test": 2_200}
_IMAGES = {
    "Training": "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
    "Validation": "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
    "Test": "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
}
_TRUTHS = {
    "Training": "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    "Validation": "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
    "Test": "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
}
_FOLDER = re.compile(r".*_(Training|Validation|Test)(_v\d)?(_Part1)?_(Input|Data|GroundTruth)", re.IGNORECASE)
_TRUTH = re.compile(r"(.+)_segmentation\.png", re.IGNORECASE)


def prepare(source: Path, out: Path) -> Prepared:
    """Return the images of every part that has outlines."""
    del out
    images, truths = _by_part(source)
    rows = [row for split in truths for row in _rows(split, images.get(split, {}), truths[split])]
    refuse_empty(rows, source, LAYOUT)
    kept, notes = opened(rows)
    unlabelled = sum(len(set(each) - set(truths.get(split, {}))) for split, each in images.items())
    if unlabelled:
        notes += (f"{unlabelled} images have no outline and are left out.",)
    return Prepared(manifests={"manifest": kept}, notes=notes)


_Found = dict[Split, dict[str, Path]]


def _by_part(source: Path) -> tuple[_Found, _Found]:
    """Return split to name to file, of the images and of the outlines."""
    images: _Found = {}
    truths: _Found = {}
    for folder in [source, *files(source, "*")]:
        match = _FOLDER.fullmatch(folder.name)
        if match is None or not folder.is_dir():
            continue
        split = SPLIT_WORDS[match[1].lower()]
        if match[4].lower() == "groundtruth":
            found = ((_TRUTH.fullmatch(path.name), path) for path in folder.iterdir())
            truths.setdefault(split, {}).update({name[1]: path for name, path in found if name})
        else:
            pictures = (path for path in folder.iterdir() if path.suffix.lower() == ".jpg")
            images.setdefault(split, {}).update({path.stem: path for path in pictures})
    return images, truths


def _rows(split: Split, images: dict[str, Path], truths: dict[str, Path]) -> list[Row]:
    lonely = sorted(set(truths) - set(images))
    if lonely:
        raise DataError(
            f"{len(lonely)} outlines of the {split} part have no image, such as {lonely[0]}. Unpack the images of"
            " that part into the same folder."
        )
    return [Row(name=name, image=images[name], labels={"lesion": truths[name]}, split=split) for name in sorted(truths)]


def _parts(part: str) -> tuple[Part, Part]:
    pictures, truth = f"ISIC2018_Task1-2_{part}_Input", f"ISIC2018_Task1_{part}_GroundTruth"
    return (
        Part(item=_item(pictures, _IMAGES[part], _SIZES[part]), into=pictures),
        Part(item=_item(truth, _TRUTHS[part], None), into=truth),
    )


def _item(name: str, sha256: str, megabytes: int | None) -> Item:
    return Item(name=f"{name}.zip", address=f"{_SITE}/{name}.zip", checksum=f"sha256:{sha256}", megabytes=megabytes)


ENTRY = Entry(
    what="3,694 dermoscopic images of the challenge of 2018; other years have the same layout",
    labels="lesion (binary)",
    licence="CC-BY-NC-4.0",
    page="https://challenge.isic-archive.com/data/#2018",
    layout=LAYOUT,
    prepare=prepare,
    parts=(*_parts("Training"), *_parts("Validation"), *_parts("Test")),
)
