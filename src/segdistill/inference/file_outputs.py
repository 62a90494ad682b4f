"""What is written of the masks of a whole file, whose planes are segmented one by one: NIfTI, DICOM-SEG, overlays."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segdistill.data.dicom_seg_writer import refuse_other, write_dicom_seg
from segdistill.data.labels import Structure
from segdistill.data.nifti_writer import Add, nifti_volume
from segdistill.data.readers import suffix_of
from segdistill.data.readers.nifti import SUFFIXES
from segdistill.data.writers import write_film
from segdistill.errors import DataError
from segdistill.inference.canvas import Mask
from segdistill.inference.overlay import Painter, clip_of
from segdistill.inference.segmented import Segmented
from segdistill.inference.spool import Spool
from segdistill.inference.target import Target


@dataclass(eq=False)
class FileOutput(ABC):
    """Puts the masks of a file's planes together: ``add`` each in order, then ``finish``."""

    source: Path
    """The image's file; of several, one per channel, the first."""

    target: Callable[[str, str], Path]
    """Returns where a structure's masks go, by its name and the suffix of the file."""

    planes: int
    """How many the file has."""

    model: str
    """Says what segments."""

    stack: ExitStack
    """Closed without ``finish`` if something fails: then nothing is written."""

    _objects: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.refuse()

    @abstractmethod
    def refuse(self) -> None:
        """Refuse a source of which no such file can be made, before any work is done."""

    @abstractmethod
    def add(self, segmented: Segmented) -> None:
        """Take the next plane's masks."""

    def skip(self, number: int) -> None:
        """Take note that a frame, counted from 1, has no masks, because it is damaged.

        Raises:
            DataError: No such file can be made without it.
        """
        raise DataError(
            f"Frame {number} of {self.source} cannot be segmented, so that there is no one file of the masks of all."
            " Leave nifti and dicom-seg out of --outputs: other masks are files of their own."
        )

    @abstractmethod
    def finish(self) -> Iterable[Path]:
        """Write the files, each whole or not at all, and yield where, each when it is there."""

    def _numbers(self, structure: Structure, mask: Mask) -> int:
        """Return what to add to the numbers of a plane's objects, so that no other plane has the same."""
        before = self._objects.get(structure.name, 0)
        self._objects[structure.name] = before + (mask.objects or 0)
        return before


class _Nifti(FileOutput):
    """Masks as NIfTI: one volume per structure, on the image's voxels; of other images, on pixels of their size."""

    def refuse(self) -> None:
        self._like = self.source if suffix_of(self.source) in SUFFIXES else None
        self._open: dict[str, tuple[Add, Path]] = {}
        self._own = self.stack.enter_context(ExitStack())

    def add(self, segmented: Segmented) -> None:
        for structure, mask in segmented.masks.items():
            if structure.name not in self._open:
                self._open[structure.name] = self._begin(structure, mask, segmented.target)
            first = self._numbers(structure, mask)
            write, _ = self._open[structure.name]
            write(np.where(rows, rows + np.uint32(first), 0) for _, rows in mask.bands)

    def _begin(self, structure: Structure, mask: Mask, target: Target) -> tuple[Add, Path]:
        path = self.target(structure.name, ".nii.gz")
        volume = nifti_volume(
            path,
            (self.planes, *mask.shape),
            np.dtype(np.int32 if structure.instances else np.uint8),  # every program knows these two
            like=self._like,
            pixel_size=target.pixel_size,
        )
        return self._own.enter_context(volume), path

    def finish(self) -> list[Path]:
        self._own.close()
        return [path for _, path in self._open.values()]


class _DicomSeg(FileOutput):
    """Masks as DICOM-SEG: one file per structure, with the names of the patient and the study that it must carry."""

    def refuse(self) -> None:
        refuse_other(self.source)
        self._held: dict[Structure, list[np.ndarray]] = {}

    def add(self, segmented: Segmented) -> None:
        for structure, mask in segmented.masks.items():
            first = self._numbers(structure, mask)
            planes = self._held.setdefault(structure, [])
            planes.append(self._kept(mask, first))

    def _kept(self, mask: Mask, first: int) -> np.ndarray:
        """Return a mask in an unnamed temporary file: of many frames, none takes memory until all are there."""
        with tempfile.TemporaryFile() as file:
            kept = np.memmap(file, np.uint16, "w+", shape=mask.shape)
        for (rows, columns), labels in mask.bands:
            kept[rows, columns] = np.where(labels, labels + np.uint32(first), 0).clip(0, np.iinfo(np.uint16).max)
        return kept

    def finish(self) -> Iterator[Path]:
        for structure, masks in self._held.items():
            path = self.target(structure.name, ".seg.dcm")
            write_dicom_seg(
                path,
                np.stack(masks),
                source=self.source,
                structure=structure.name,
                told_apart=structure.instances,
                model=self.model,
            )
            yield path


class _Overlay(FileOutput):
    """A clip of the pictures with the masks drawn upon them, of all structures together."""

    def refuse(self) -> None:
        self._painter: Painter | None = None
        self._number = 0
        self._own = self.stack.enter_context(ExitStack())

    def add(self, segmented: Segmented) -> None:
        if self._painter is None:
            painter = Painter(segmented, self.planes)
            self._painter = painter
            name = segmented.target.name if self.planes == 1 else segmented.target.name.rpartition("/")[0]
            self._path = segmented.target.out / f"{name}.overlay.avi"
            self._write = self._own.enter_context(clip_of(self._path, painter, source=self.source))
            for number in range(1, self._number + 1):
                self._write(painter.lost(number))
        self._number += 1
        self._write(self._painter.painted(segmented, self._number))

    def skip(self, number: int) -> None:
        self._number = number
        if self._painter is not None:  # else it is drawn when the size of frames is known
            self._write(self._painter.lost(number))

    def finish(self) -> list[Path]:
        self._own.close()
        return [] if self._painter is None else [self._path]


class _Film(FileOutput):
    """Label images of all frames: one film per structure, t y x, saved as OME-TIFF.

    A file for each frame and structure would be flushed to the disk thousands of times, and nobody could play it. The
    numbers of objects begin anew in each frame: objects are not followed. A frame that is damaged has an empty page,
    so that all others keep their numbers; the records name it.
    """

    def refuse(self) -> None:
        self._kept: dict[Structure, Spool] = {}
        self._target: Target | None = None
        self._there: list[bool] = []

    def add(self, segmented: Segmented) -> None:
        self._target = segmented.target
        self._there.append(True)
        for structure, mask in segmented.masks.items():
            if structure not in self._kept:
                self._kept[structure] = self.stack.enter_context(Spool(self._target.out))
            self._kept[structure].append(mask.whole().astype(_numbers_of(structure)))

    def skip(self, number: int) -> None:
        del number
        self._there.append(False)

    def finish(self) -> list[Path]:
        if self._target is None:
            return []
        shape = (len(self._there), *self._target.shape)
        paths = []
        for structure, kept in self._kept.items():
            paths.append(self.target(structure.name, ".tif"))
            dtype, found = _numbers_of(structure), iter(kept)
            pages = (next(found) if there else np.zeros(shape[1:], dtype) for there in self._there)
            write_film(paths[-1], pages, shape, dtype, pixel_size=self._target.pixel_size)
        return paths


def _numbers_of(structure: Structure) -> np.dtype:
    return np.dtype(np.uint32 if structure.instances else np.uint8)


FILE_OUTPUTS: Mapping[str, type[FileOutput]] = {"nifti": _Nifti, "dicom-seg": _DicomSeg, "overlay": _Overlay}
"""What can be asked for, in the order in which it is written."""

OF_CLIPS: Mapping[str, type[FileOutput]] = {"labels": _Film}
"""What is written of the frames of a clip together, and of other planes one by one."""
