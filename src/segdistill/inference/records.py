"""What is known of a folder of masks: which image each belongs to, whether it is whole, and what failed."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segdistill.data.readers.planes import plane_path
from segdistill.errors import DataError
from segdistill.evaluation.predicted import RECORDS
from segdistill.files import append_line, neutral_cell, remove, settle, sha256_path, whole_file
from segdistill.inference.inputs import Found, Input, fingerprint, folded

FAILED = "failed.csv"


class Records:
    """The records of a folder: one line for each image that was segmented or could not be.

    Of several lines of one image the last holds. A line is added when the masks it names are whole,
    so a mask that is named here, and has the hash that is named here, is done.

    Args:
        out: The folder.
        private: Whether images are known by the names of their masks, which are pseudonyms, and not by their paths.
    """

    def __init__(self, out: Path, *, private: bool = False) -> None:
        self._out = out
        self._private = private
        self._by_image: dict[str, dict[str, Any]] = {}
        self._fingerprints: dict[Path, str] = {}
        for record in _read(out / RECORDS):
            self._by_image[record["image"]] = record
        self._by_name = {folded(record["name"]): record for record in self._by_image.values() if "name" in record}

    def name_of(self, image: Found) -> str | None:
        """Return the name that this image's masks have, or None if there are none."""
        return self._by_image.get(_key(image), {}).get("name")

    def is_free(self, name: str, image: Found) -> bool:
        """Tell whether masks of this image may have this name: they do already, or those of no other image do."""
        record = self._by_name.get(folded(name))
        if record is None or record["image"] == _key(image):
            return True
        try:
            return record["sha256"] == self.fingerprint(image)
        except DataError:  # it will fail when its turn comes
            return False

    def fingerprint(self, image: Found) -> str:
        """Return an image's fingerprint, computed once.

        Raises:
            DataError: It cannot be read.
        """
        if image.path not in self._fingerprints:
            self._fingerprints[image.path] = fingerprint(image)
        return self._fingerprints[image.path]

    def is_complete(self, image: Input) -> bool:
        """Tell whether this very image was segmented before and all its masks are still what was written."""
        record = self._by_name.get(folded(image.name))
        if record is None or record["sha256"] != self.fingerprint(image):
            return False
        return all(sha256_path(self._out / name) == sha for name, sha in record["files"].items())

    def lost_frames(self, image: Input) -> dict[str, str]:
        """Return the paths of those frames of a clip that could not be segmented, to the reasons."""
        return _lost(self._by_name.get(folded(image.name), {}), str(image.path))

    def set_aside(self, image: Input) -> None:
        """Rename the masks of what this image was before it changed, so that nobody takes them for its own."""
        record = self._by_name.get(folded(image.name))
        if record is None or record["sha256"] == self.fingerprint(image):
            return
        for name in record["files"]:
            old = self._out / name
            if old.exists():
                aside = old.with_name(f"{old.name}.outdated")
                remove(aside)
                old.replace(aside)

    def add(self, image: Input, facts: Mapping[str, Any]) -> None:
        """Record that an image was segmented; ``facts`` name its files and their hashes."""
        record = {"name": image.name, "sha256": self.fingerprint(image), **facts}
        self._by_name[folded(image.name)] = self._append(image, record)

    def fail(self, image: Input, reason: str) -> None:
        """Record that an image could not be segmented."""
        self._append(image, {"failed": reason})
        self.write_failed()

    def _append(self, image: Input, facts: Mapping[str, Any]) -> dict[str, Any]:
        record = {"image": image.name if self._private else _key(image), **facts}
        append_line(self._out / RECORDS, json.dumps(record, sort_keys=True))
        settle(self._out / RECORDS)
        self._by_image[record["image"]] = record
        return record

    def write_failed(self) -> None:
        """Write which images, of all that were ever asked for, have no masks, and why."""
        failed: list[tuple[str, str]] = []
        for path, record in sorted(self._by_image.items()):
            failed += [(path, record["failed"])] if "failed" in record else _lost(record, path).items()
        with (
            whole_file(self._out / FAILED) as partial,
            partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as handle,
        ):
            writer = csv.writer(handle)
            writer.writerow(["image", "reason"])
            writer.writerows([neutral_cell(path), neutral_cell(reason)] for path, reason in failed)


def _lost(record: Mapping[str, Any], path: str) -> dict[str, str]:
    return {str(plane_path(Path(path), int(number))): why for number, why in record.get("lost_frames", {}).items()}


def _key(image: Found) -> str:
    return str(image.path.resolve())


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of earlier runs; a line that a killed process left torn is ended and passed over."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        append_line(path, "")
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and "image" in record:
            yield record
