"""What a store holds: whose word, about what, kept how. Written once, checked on every opening."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segdistill.errors import ConfigError, DataError
from segdistill.files import write_json
from segdistill.targets.quantise import MapStorage, TokenStorage
from segdistill.targets.view import View, view_from_json
from segdistill.teachers.contract import Contract, contract_from_json, contract_to_json

FORMAT = 1
NAME = "header.json"

_WORDS = ("name", "note", "licence")
"""Parts of a contract that do not change what a teacher says."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """One store: everything that decides what its records say, except the image.

    >>> from segdistill.data.normalisation import PercentileRule
    >>> teacher = Contract(name="t", channels=("a",), rule=PercentileRule(), outputs=("cell",),
    ...     weights_sha256="0", licence="MIT")
    >>> header_from_json(header_to_json(Header(contracts=(teacher,)))) == Header(contracts=(teacher,))
    True
    """

    contracts: tuple[Contract, ...]
    """The teacher; or one per fold, each of which describes the images it was not fitted on."""

    maps_as: MapStorage = "float16"
    """How probabilities are stored."""

    tokens: tuple[str, ...] = ()
    """Token grids that are stored beside the maps, by their names in the contract."""

    tokens_as: TokenStorage = "int8"
    """How tokens are stored."""

    views: tuple[View, ...] = (View(),)
    """What the teacher looks at; the first is the whole image, for maps. Others are for tokens."""

    tile: int | None = None
    """Images with a longer side are cut into tiles of this side, pixels; None: never."""

    halo: int = 0
    """Pixels that are discarded on each inner side of a tile."""

    def __post_init__(self) -> None:
        outputs = {contract.outputs for contract in self.contracts}
        if len(outputs) != 1:
            raise ConfigError(f"The folds of a teacher must give the same outputs, but they give {sorted(outputs)}.")
        if not self.outputs and not self.tokens:
            raise ConfigError(
                f"Teacher {self.contracts[0].name!r} gives features ({', '.join(self.contracts[0].tokens) or 'none'})"
                " and no maps, so there is nothing to store of it. Name its tokens, or a teacher that gives maps."
            )
        if not self.views or not self.views[0].is_whole:
            raise ConfigError("The first view of a store is the whole image, as it is. Put it first.")
        if len(self.views) > 1 and not self.tokens:
            raise ConfigError(
                "Several views are for tokens; maps are turned with their image. Name tokens or keep one."
            )
        known = set(self.contracts[0].tokens)
        if not set(self.tokens) <= known:
            raise ConfigError(
                f"Teacher {self.contracts[0].name!r} has no tokens called {', '.join(set(self.tokens) - known)}."
                f" It has: {', '.join(known) or 'none'}."
            )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the maps, in order."""
        return self.contracts[0].outputs


def new_header(
    *contracts: Contract,
    maps_as: MapStorage = "float16",
    tokens: tuple[str, ...] = (),
    tokens_as: TokenStorage = "int8",
    views: tuple[View, ...] = (View(),),
) -> Header:
    """Return the header of a store: tiles and halo as the teacher's contract has them.

    Args:
        contracts: The teacher's; or one per fold.
        maps_as: How probabilities are stored.
        tokens: Token grids that are stored, by their names in the contract. Empty: maps alone.
        tokens_as: How tokens are stored.
        views: What the teacher looks at; the whole image first. ``drawn_views`` makes more.
    """
    tile = contracts[0].tile
    return Header(
        contracts=contracts,
        maps_as=maps_as,
        tokens=tokens,
        tokens_as=tokens_as,
        views=views,
        tile=tile,
        halo=(tile or 0) // 8,
    )


def header_to_json(header: Header) -> dict[str, Any]:
    """Return a header as plain JSON values."""
    return {
        "format": FORMAT,
        "contracts": [contract_to_json(contract) for contract in header.contracts],
        "maps_as": header.maps_as,
        "tokens": list(header.tokens),
        "tokens_as": header.tokens_as,
        "views": [asdict(view) | {"window": list(view.window)} for view in header.views],
        "tile": header.tile,
        "halo": header.halo,
    }


def header_from_json(value: Mapping[str, Any]) -> Header:
    """Return the header that ``header_to_json`` made plain."""
    return Header(
        contracts=tuple(contract_from_json(each) for each in value["contracts"]),
        maps_as=value["maps_as"],
        tokens=tuple(value["tokens"]),
        tokens_as=value["tokens_as"],
        views=tuple(view_from_json(view) for view in value["views"]),
        tile=value["tile"],
        halo=value["halo"],
    )


def read_header(folder: Path) -> Header:
    """Read a store's header.

    Raises:
        DataError: There is none, it is damaged, or it is of another format.
    """
    path = folder / NAME
    if not path.is_file():
        raise DataError(f"{folder} is no store of targets: it has no {NAME}. Name a folder that `targets` wrote.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found = value.get("format")
        if found == FORMAT:
            return header_from_json(value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged: {error!r}. Remove the folder and make the targets again.") from error
    raise DataError(f"{path} has format {found}, but this version reads format {FORMAT}. Make the targets again.")


def write_header(folder: Path, header: Header) -> None:
    """Write a store's header, whole or not at all."""
    write_json(folder / NAME, header_to_json(header))


def differences(found: Header, wanted: Header) -> list[str]:
    """Return what two headers differ in, each as "setting: found, wanted"; empty if records can be shared."""
    one, other = _flat(_identity(found)), _flat(_identity(wanted))
    keys = [*one, *(key for key in other if key not in one)]
    return [
        f"{key}: {one.get(key, 'nothing')}, but {other.get(key, 'nothing')} is wanted"
        for key in keys
        if one.get(key) != other.get(key)
    ]


def store_folder(root: Path, header: Header) -> Path:
    """Return the folder of a store among those of other teachers and settings.

    It is named after the teacher and a hash of everything that decides the records.
    """
    digest = hashlib.sha256(json.dumps(_identity(header), sort_keys=True).encode()).hexdigest()
    kind, _, path = header.contracts[0].name.partition(":")
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{kind}-{Path(path).stem}" if path else kind).strip("-.")
    return root / f"{readable or 'teacher'}-{digest[:10]}"


def _identity(header: Header) -> dict[str, Any]:
    """Return what decides the records: not what the teacher is called, nor what is said about it."""
    plain = header_to_json(header)
    for contract in plain["contracts"]:
        for word in _WORDS:
            del contract[word]
    return plain


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested dictionaries and lists of dictionaries as dotted names."""
    if isinstance(value, dict):
        children = [(f"{name}.{key}" if name else str(key), child) for key, child in value.items()]
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        children = [(f"{name}.{place}", child) for place, child in enumerate(value)]
    else:
        return {name: value}
    flat: dict[str, Any] = {}
    for child_name, child in children:
        flat |= _flat(child, child_name)
    return flat
