"""The store of teacher targets: what a frozen teacher said of each image, said once."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float32, Shaped

from segdistill.data.image import Image
from segdistill.errors import ConfigError, DataError
from segdistill.files import sha256_array
from segdistill.targets.header import NAME, Header, differences, read_header, write_header
from segdistill.targets.quantise import load_tokens
from segdistill.targets.record import Key, Record
from segdistill.targets.shard import Shard, Writer, read_index, shards, writing

MAPS = "maps"
"""Name of the array of probability maps, one plane per output of the header."""

GENERATION = "generation"
"""Name of the parameter that says how many records of its key a record takes the place of; 0 where it is not named."""


def image_key(image: Image) -> str:
    """Return what a record of this image is found by: a hash of its pixels, channel names and pixel size.

    >>> one = Image(np.zeros((1, 2, 3), np.uint8), ("a",), None, "one.tif")
    >>> other = Image(np.zeros((1, 2, 3), np.uint8), ("a",), None, "elsewhere/copy.tif")
    >>> image_key(one) == image_key(other)
    True
    """
    meaning = f"{sha256_array(image.array)} {image.channels} {image.pixel_size}"
    return hashlib.sha256(meaning.encode()).hexdigest()


class TargetStore:
    """One teacher's records in one folder; from ``open_store`` or ``create_store``.

    Arrays come as read-only views of memory-mapped files. The first time that a record is read its
    checksum is compared; a record that fails is as good as absent.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        """Read the index of a store.

        Args:
            folder: Where it is.
            header: What it holds.
        """
        self.folder = folder
        self.header = header
        self._found: dict[Key, list[tuple[Shard, Record]]] = {}
        self._sound: dict[Key, tuple[Shard, Record]] = {}
        self._mapped: dict[Path, np.ndarray] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the index again, for what other processes have added since."""
        self._found, self._sound, self._mapped = {}, {}, {}
        for shard in shards(self.folder):
            for record in read_index(shard):
                self._found.setdefault(record.key, []).insert(0, (shard, record))
        for found in self._found.values():  # slices have no order in time: what was said anew may lie in any of them
            found.sort(key=lambda each: _generation(each[1]), reverse=True)

    def keys(self) -> tuple[Key, ...]:
        """Return the keys of all records, damaged ones too."""
        return tuple(self._found)

    def cases(self) -> frozenset[str]:
        """Return the names of the cases of all records, damaged and superseded ones too."""
        records = (record for found in self._found.values() for _, record in found)
        return frozenset(record.parameters["case"] for record in records if "case" in record.parameters)

    def described(self) -> dict[str, Key]:
        """Return the names of the cases that have a sound record of the whole image, and its key."""
        sound = [key for key in self._found if key.view == 0 and self.has(key)]
        return {self.parameters(key)["case"]: key for key in sound}

    def __len__(self) -> int:
        return len(self._found)

    def has(self, key: Key | tuple[str, int]) -> bool:
        """Return whether there is a sound record of this key; its bytes are checked once."""
        return self._locate(Key(*key)) is not None

    def get(self, key: Key | tuple[str, int]) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return a record's arrays as they are stored, by name.

        Raises:
            DataError: There is no sound record of this key.
        """
        shard, record = self._required(Key(*key))
        return {name: self._array(shard, record, name) for name in record.arrays}

    def maps(self, key: Key | tuple[str, int]) -> dict[str, Shaped[np.ndarray, "y x"]]:
        """Return the stored maps by the name of the output; ``load_maps`` makes probabilities of them.

        Raises:
            DataError: There is no sound record of this key.
        """
        shard, record = self._required(Key(*key))
        return dict(zip(self.header.outputs, self._array(shard, record, MAPS), strict=True))

    def stored_tokens(self, key: Key | tuple[str, int], name: str) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return a token grid as it is stored, of the view that the key names; ``load_tokens`` makes features of it.

        Args:
            key: Of an image and a view.
            name: In the header's tokens.

        Raises:
            ConfigError: The store holds no tokens of this name.
            DataError: There is no sound record of this key.
        """
        if name not in self.header.tokens:
            held = ", ".join(self.header.tokens) or "none"
            raise ConfigError(f"{self.folder} holds no tokens called {name!r}. It holds: {held}.")
        shard, record = self._required(Key(*key))
        parts = [array for array in record.arrays if array.startswith(f"{name}/")]
        return {array.removeprefix(f"{name}/"): self._array(shard, record, array) for array in parts}

    def tokens(self, key: Key | tuple[str, int], name: str) -> Float32[np.ndarray, "y x d"]:
        """Return a stored token grid on the teacher's own grid; see ``stored_tokens``."""
        return load_tokens(self.stored_tokens(key, name))

    def parameters(self, key: Key | tuple[str, int]) -> Mapping[str, Any]:
        """Return what was noted beside a record.

        Raises:
            DataError: There is no sound record of this key.
        """
        return self._required(Key(*key))[1].parameters

    def next_generation(self, key: Key | tuple[str, int]) -> int:
        """Return what a new record of this key puts above all that are there, damaged ones too; see ``GENERATION``."""
        return max((_generation(record) + 1 for _, record in self._found.get(Key(*key), [])), default=0)

    @contextmanager
    def writing(self, part: tuple[int, int] = (0, 1)) -> Iterator[Writer]:
        """Hold one slice of the store and yield its writer; afterwards this store knows what was added.

        Args:
            part: (k, n): the k-th of n slices, counted from 0. Each is for one process.
        """
        with writing(self.folder, part) as writer:
            try:
                yield writer
            finally:
                self.refresh()

    def _required(self, key: Key) -> tuple[Shard, Record]:
        located = self._locate(key)
        if located is None:
            state = "damaged" if key in self._found else "missing"
            raise DataError(
                f"The targets of image {key.image[:12]}… (view {key.view}) in {self.folder} are {state}."
                " Run the same `targets` command again: it makes what is missing or damaged."
            )
        return located

    def _locate(self, key: Key) -> tuple[Shard, Record] | None:
        """Return the newest record of a key whose bytes are as they were written."""
        if key not in self._sound:
            for shard, record in self._found.get(key, []):
                if self._is_sound(shard, record):
                    self._sound[key] = (shard, record)
                    break
        return self._sound.get(key)

    def _is_sound(self, shard: Shard, record: Record) -> bool:
        content = ((self._bytes(shard, place.offset, place.end), place.crc32) for place in record.arrays.values())
        return all(zlib.crc32(cast("Any", found)) == wanted for found, wanted in content)

    def _array(self, shard: Shard, record: Record, name: str) -> Shaped[np.ndarray, "..."]:
        place = record.arrays[name]
        return self._bytes(shard, place.offset, place.end).view(np.dtype(place.dtype)).reshape(place.shape)

    def _bytes(self, shard: Shard, start: int, stop: int) -> Shaped[np.ndarray, " n"]:
        if start == stop:
            return np.zeros(0, np.uint8)
        if shard.data not in self._mapped or self._mapped[shard.data].size < stop:
            self._mapped[shard.data] = np.memmap(shard.data, np.uint8, mode="r")
        return self._mapped[shard.data][start:stop]


def _generation(record: Record) -> int:
    return record.parameters.get(GENERATION, 0)


def open_store(folder: Path) -> TargetStore:
    """Open a store for reading.

    Raises:
        DataError: The folder is no store, or it is damaged or of another format.
    """
    return TargetStore(folder, read_header(folder))


def create_store(folder: Path, header: Header) -> TargetStore:
    """Open a store for filling, making it if it is not there.

    Raises:
        ConfigError: The folder holds a store of another teacher or other settings (the differences
            are named), or it holds something else.
        DataError: The store is damaged or of another format.
        EnvironmentFault: The folder cannot be written.
    """
    if not (folder / NAME).exists():
        if folder.exists() and any(path.suffix != ".partial" for path in folder.iterdir()):
            raise ConfigError(f"{folder} is no store of targets, but it is not empty. Choose a new folder.")
        write_header(folder, header)
    found = read_header(folder)
    unlike = differences(found, header)
    if unlike:
        raise ConfigError(
            f"{folder} holds the targets of another teacher or other settings: {'; '.join(unlike)}."
            " Choose a new folder, or ask for what it holds."
        )
    return TargetStore(folder, found)
