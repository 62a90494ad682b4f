"""Opening an image file of any supported format."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, runtime_checkable

from segdistill import plugins
from segdistill.data.image import Image, ImageSource, stated_names
from segdistill.data.readers import (
    arrays,
    clip_index,
    clips,
    dicom,
    dicom_header,
    nifti,
    ome_zarr,
    pictures,
    planes,
    several,
    tiff,
)
from segdistill.data.readers.faults import reading
from segdistill.errors import DataError


@runtime_checkable
class Reader(Protocol):
    """Opens one file of one format; plugins provide such functions as entry points.

    The entry point belongs to the group ``segdistill.readers`` and is called by the file's suffix,
    in lower case and without the dot, such as ``czi``.
    """

    def __call__(
        self, path: Path, *, channels: Sequence[str] | None, axes: str | None, fill_missing: bool
    ) -> ImageSource:
        """Return the opened file.

        Args:
            path: The file.
            channels: Names that override the file's own, in the file's order; None for none.
            axes: Letters of the axes that override the file's own, in the file's order; None for none.
            fill_missing: Whether pieces that the file leaves out are empty on purpose.

        Raises:
            DataError: The file cannot be used as asked.
        """
        ...


BUILTIN: Mapping[str, Reader] = {
    **dict.fromkeys(pictures.SUFFIXES, pictures.open_picture),
    **dict.fromkeys(tiff.SUFFIXES, tiff.open_tiff),
    ".npy": arrays.open_npy,
    ".npz": arrays.open_npz,
    ".zarr": ome_zarr.open_ome_zarr,
    **dict.fromkeys(dicom_header.SUFFIXES, dicom.open_dicom),
    **dict.fromkeys(nifti.SUFFIXES, nifti.open_nifti),
    **dict.fromkeys(clip_index.SUFFIXES, clips.open_clip),
}
"""Readers by suffix, in lower case."""

_COUNTERS: Mapping[Reader, Callable[[Path, str | None], int]] = {
    dicom.open_dicom: lambda path, _: dicom.count_frames(path),
    nifti.open_nifti: lambda path, _: nifti.read_volume(path).planes,
    clips.open_clip: lambda path, _: clips.count_frames(path),
    tiff.open_tiff: tiff.count_frames,
}
"""Readers of files that may hold many planes, to what tells how many there are where axes are stated."""

_MICROSCOPES = {
    ".czi", ".dv", ".ims", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".oib", ".oif", ".qptiff", ".scn", ".svs", ".vsi",
}  # fmt: skip
_FILMS = {".asf", ".flv", ".m2v", ".mkv", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
_MEDICAL = {".hdr", ".img", ".mha", ".mhd", ".mnc", ".nrrd"}


def open_image(
    path: Path | Mapping[str, Path],
    *,
    channels: Sequence[str] | None = None,
    axes: str | None = None,
    fill_missing: bool = False,
) -> ImageSource:
    """Open an image file, to be read whole or by windows.

    Args:
        path: PNG, JPEG, GIF, BMP, TIFF (also OME-TIFF and ImageJ TIFF), OME-Zarr, npy, npz, DICOM, NIfTI or
            a clip (MP4, AVI), of files of many planes a path to one of them (see ``segdistill.data.readers.planes``);
            or one file per channel, by the channels' names. Other formats by plugins.
        channels: The channels' names in the file's order, overriding those in the file, but not moving any of
            these to another channel; None takes those. With one file per channel they can only repeat its names.
        axes: One letter per axis in the file's order (c, y, x, z, t), for files that do not say
            which axis is which; None takes the file's own.
        fill_missing: Whether tiles or chunks of which nothing is stored are empty on purpose, and
            read as the fill value. Otherwise they are refused.

    Returns:
        The opened image, a context manager. The channels of a colour picture are red, green and blue.

    Raises:
        ConfigError: ``axes`` is no list of axes.
        DataError: There is no such file, its format is not known, it is damaged, or what it holds is
            ambiguous.

    >>> import tempfile, numpy
    >>> file = Path(tempfile.mkdtemp()) / "field.npy"
    >>> numpy.save(file, numpy.zeros((2, 4, 5), "uint16"))
    >>> with open_image(file, channels=["nucleus", "membrane"], axes="cyx") as image:
    ...     image.shape, image.read((slice(0, 2), slice(1, 5))).shape
    ((2, 4, 5), (2, 2, 4))
    """
    if isinstance(path, Mapping):
        return _open_several(path, channels, axes, fill_missing)
    return _reader(path)(path, channels=channels, axes=axes, fill_missing=fill_missing)


def read_image(
    path: Path | Mapping[str, Path],
    *,
    channels: Sequence[str] | None = None,
    axes: str | None = None,
    fill_missing: bool = False,
) -> Image:
    """Return a whole image; the arguments, and what is raised, are those of ``open_image``."""
    with open_image(path, channels=channels, axes=axes, fill_missing=fill_missing) as opened:
        return Image(opened.read(), opened.channels, opened.pixel_size, opened.source, stated=stated_names(opened))


def _open_several(
    paths: Mapping[str, Path], channels: Sequence[str] | None, axes: str | None, fill_missing: bool
) -> ImageSource:
    if not paths:
        raise DataError("An image of one file per channel names no file. Name at least one.")
    if channels is not None and tuple(channels) != tuple(paths):
        raise DataError(
            f"--channels names {', '.join(channels)}, but the files are named as {', '.join(paths)} already."
            " Drop --channels, or give these names in this order."
        )
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(open_image(path, axes=axes, fill_missing=fill_missing))
            for name, path in paths.items()
        }
        joined = several.join(opened)
        stack.pop_all()
        return joined


def suffix_of(path: Path) -> str:
    """Return what tells a file's format: its suffix in lower case; of a DICOM file without any, that of DICOM.

    >>> suffix_of(Path("a.TIF")), suffix_of(Path("brain.nii.gz"))
    ('.tif', '.nii.gz')
    """
    if path.name.lower().endswith(".nii.gz"):
        return ".nii.gz"
    return path.suffix.lower() or (dicom_header.SUFFIXES[0] if dicom_header.is_dicom(path) else "")


def is_known(path: Path) -> bool:
    """Return whether there is a reader for a file, by its name, or, where that has no suffix, by what it says."""
    suffix = suffix_of(path)
    return suffix in BUILTIN or suffix[1:] in plugins.names("reader")


def conversion_hint(path: Path) -> str | None:
    """Return how to make an image of a file whose format is known, but not read here; None for any other file.

    >>> conversion_hint(Path("scan.mha"))
    'It is a medical format: save it as NIfTI, for example with ITK-SNAP or SimpleITK.'
    >>> conversion_hint(Path("notes.txt")) is conversion_hint(Path("a.png")) is None
    True
    """
    suffix = suffix_of(path)
    if is_known(path) or path.is_dir():
        return None
    if suffix in _MICROSCOPES:
        return (
            f"It is a microscope's own format: convert it with `bioformats2raw {path.name} {path.stem}.zarr`,"
            " or open it in Fiji and save it as OME-TIFF."
        )
    if suffix in _FILMS:
        return f"It is a clip: repack it with `ffmpeg -i {path.name} -c copy {path.stem}.mp4`, or save it as .avi."
    if suffix in _MEDICAL:
        return "It is a medical format: save it as NIfTI, for example with ITK-SNAP or SimpleITK."
    if dicom_header.says_dicom(path):
        return "It is a DICOM file: give its name the suffix .dcm, or none."
    return None


def count_planes(path: Path, axes: str | None = None) -> int:
    """Return how many planes a file holds, each of which is an image of its own; 1 for one that cannot be read.

    Only clips, DICOM and NIfTI files, and TIFF files with an axis of time, can have more than one.

    Args:
        path: The file.
        axes: Letters of the axes that override the file's own, as in ``open_image``; None for none.

    Raises:
        MissingExtra: What reads such files is not installed.
        ConfigError: ``axes`` is no list of axes.
    """
    counter = _COUNTERS.get(BUILTIN.get(suffix_of(path), ome_zarr.open_ome_zarr))
    with suppress(DataError):  # is refused with all else that is wrong when it is opened
        return 1 if counter is None else counter(path, axes)
    return 1


def count_label_planes(path: Path) -> int:
    """Return how many planes a file of labels holds; as ``count_planes``, but those of a TIFF need not be called time.

    Raises:
        MissingExtra: What reads such files is not installed.
    """
    if BUILTIN.get(suffix_of(path)) is not tiff.open_tiff:
        return count_planes(path)
    with suppress(DataError):
        return tiff.count_label_frames(path)
    return 1


def _reader(path: Path) -> Reader:
    path = planes.file_of(path)
    suffix = suffix_of(path)
    with reading(str(path), "image"):
        exists, folder = path.exists(), path.is_dir()
    if not exists:
        raise DataError(f"There is no file {path}.{_neighbour(path)}")
    if folder and ome_zarr.is_zarr(path):
        return ome_zarr.open_ome_zarr
    if folder or suffix == ".zarr":
        raise DataError(
            f"{path} is a {'folder' if folder else 'file'}, and no OME-Zarr. Name an image file or an OME-Zarr folder."
        )
    if suffix in BUILTIN:
        return BUILTIN[suffix]
    if suffix[1:] in plugins.names("reader"):
        return plugins.find("reader", suffix[1:], {})
    raise _unknown(path, suffix)


def _unknown(path: Path, suffix: str) -> DataError:
    hint = conversion_hint(path) or f"Save it as one of: {', '.join(BUILTIN)}."
    return DataError(f"{path} cannot be read: there is no reader for {suffix or 'files without a suffix'}. {hint}")


def _neighbour(path: Path) -> str:
    names: list[str] = []
    with suppress(OSError):
        names = [other.name for other in path.parent.iterdir()]
    close = get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f" Did you mean {close[0]!r}?" if close else ""
