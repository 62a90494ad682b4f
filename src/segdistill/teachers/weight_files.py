"""The files of weights that can be fetched: looking them up needs no torch.

Source:
    SAM: the table of checkpoints of github.com/facebookresearch/segment-anything; the hashes are those
    that ``published`` pins. CellSAM: ``cellSAM/_auth.py`` of github.com/vanvalenlab/cellSAM, commit
    62b5f19d, gives the archive's key and MD5; terms: its issue 90. MedCLIP: medclip_vit_weight.txt of
    github.com/RyanWangZf/MedCLIP; its authors publish no hash, this one is what a loader by others pins.
    MedSAM2: checkpoints/download_medsam2_models.py of github.com/bowang-lab/MedSAM2, which publishes no hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill.errors import DataError, UnknownName
from segdistill.fetch import DEEPCELL, Fetched, Finding, Item, check, check_recorded, download, record, unpack
from segdistill.fetch.download import Notice
from segdistill.teachers.published import PUBLISHED

FOLDER = Path("weights")
"""Where weights are put unless the user says otherwise."""

_AUTHORS = "https://dl.fbaipublicfiles.com/segment_anything"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """The weights of one teacher."""

    item: Item
    """The file as it is published."""

    licence: str
    """On what terms."""

    archive: bool = False
    """Whether the file is an archive to be unpacked."""

    def folder(self, name: str, root: Path) -> Path:
        """Return the folder to name with ``--teacher-weights``."""
        return root / name

    def place(self, name: str, root: Path) -> Path:
        """Return the folder that the published file itself is put into."""
        return root if self.archive else root / name

    def there(self, name: str, root: Path) -> bool:
        """Return whether the weights are there, whatever is in them."""
        return self.folder(name, root).is_dir() if self.archive else (self.place(name, root) / self.item.name).is_file()


def _sam(name: str) -> WeightFile:
    source = PUBLISHED[name]
    item = Item(
        name=source.original,
        address=f"{_AUTHORS}/{source.original}",
        checksum=f"sha256:{source.original_sha256}",
        megabytes=source.megabytes,
    )
    return WeightFile(item=item, licence="Apache-2.0")


WEIGHTS: Mapping[str, WeightFile] = {
    **{name: _sam(name) for name in ("sam-vit-b", "sam-vit-l", "sam-vit-h")},
    "medsam": WeightFile(
        item=Item(
            name=PUBLISHED["medsam"].file,
            address=f"https://huggingface.co/{PUBLISHED['medsam'].hub}/resolve/main/{PUBLISHED['medsam'].file}",
            megabytes=PUBLISHED["medsam"].megabytes,
        ),
        licence="Apache-2.0",
    ),
    "cellsam": WeightFile(
        item=Item(
            name="cellsam-models_v1.2.tar.gz",
            address="models/cellsam-models_v1.2.tar.gz",
            checksum="md5:f41e6899c49fc8ce12f77a8d25594604",
            megabytes=1700,
            door=DEEPCELL,
        ),
        licence="CellSAM's modified Apache-2.0: non-commercial academic use only",
        archive=True,
    ),
    "medclip": WeightFile(
        item=Item(
            name="medclip-vit-pretrained.zip",
            address="https://storage.googleapis.com/pytrial/medclip-vit-pretrained.zip",
            checksum="sha256:414b3ac515431c06018400ab2d83ee7307e314020cd4f6babbfdea4a58515725",
            megabytes=500,
        ),
        licence="MIT for the code; none stated for the weights, made of MIMIC-CXR and CheXpert (research use only)",
        archive=True,
    ),
    "medsam2": WeightFile(
        item=Item(
            name="MedSAM2_latest.pt",
            address="https://huggingface.co/wanglab/MedSAM2/resolve/main/MedSAM2_latest.pt",
            megabytes=156,
        ),
        licence="unknown here: that of the model card of wanglab/MedSAM2",
    ),
}
"""Teacher to its weights."""


def fetch_command(name: str) -> str:
    """Return the command that gets a teacher's weights.

    >>> fetch_command("cellsam")
    'segdistill weights fetch cellsam'
    """
    return f"segdistill weights fetch {name}"


def weight_file(name: str) -> WeightFile:
    """Return the weights of a teacher.

    Raises:
        UnknownName: No weights of that name can be fetched.
    """
    if name not in WEIGHTS:
        raise UnknownName("weights to fetch", name, WEIGHTS)
    return WEIGHTS[name]


def fetch_weights(name: str, root: Path, *, notice: Notice) -> Fetched:
    """Bring a teacher's weights into ``root/NAME``, unless they are there.

    Args:
        name: One of ``WEIGHTS``.
        root: Folder of all weights; made if absent.
        notice: Told what is done.

    Raises:
        UnknownName: No weights of that name can be fetched.
        EnvironmentFault, ConfigError, DataError: See ``segdistill.fetch.download`` and ``unpack``.
    """
    wanted = weight_file(name)
    folder = wanted.folder(name, root)
    if wanted.archive and folder.is_dir():
        return Fetched(path=folder, fresh=False, words=f"{folder}: unpacked before")
    fetched = download(wanted.item, wanted.place(name, root), notice=notice)
    if wanted.archive:
        notice(f"Unpacking {fetched.path}")
        unpack(fetched.path, folder)
        record(folder, [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()])
    return fetched


def verify_weights(root: Path) -> tuple[Finding, ...]:
    """Return how the weights in a folder compare with what was published, or with what they were when they came.

    Args:
        root: As for ``fetch_weights``. Weights that are not there are left out.

    Raises:
        DataError: Nothing is there.
    """
    found: list[Finding] = []
    for name, wanted in WEIGHTS.items():
        found.append(check(wanted.item, wanted.place(name, root)))
        if wanted.archive:
            found.extend(check_recorded(wanted.folder(name, root)))
    there = tuple(finding for finding in found if finding.state != "absent")
    if not there:
        raise DataError(f"{root} holds none of the weights that can be fetched. Get some: {fetch_command('NAME')}.")
    return there
