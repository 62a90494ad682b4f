"""A settings file beside a command line, and every mistake of both told at once in the words that were typed."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cyclopts import App, Argument, ArgumentCollection, CycloptsError

from segdistill.errors import nearest

_ELSEWHERE = {
    **dict.fromkeys(("epoch", "epochs", "iteration", "iterations", "max-steps"), "protocol.steps"),
    **dict.fromkeys(("lr", "learning-rate"), "protocol.learning-rate"),
    **dict.fromkeys(("batch", "batch-size", "bs"), "protocol.batch-size"),
}
"""What other programs call a setting, to its option here."""


class Mistakes(CycloptsError):
    """What is wrong with a command line and its settings file: a message with one line per mistake."""


class CommandSettings:
    """What cyclopts calls after it has read a command line and before it converts it.

    Adds the settings of a TOML file wherever the command line says nothing, and refuses what is
    missing, unknown or wrong in either, all of it together.

    Args:
        file: The settings file; None for none.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.values = {} if file is None else _read(file)
        self.options: tuple[str, ...] = ()
        """The options of the command, once cyclopts has called."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Complete and check the arguments of a command; see cyclopts' ``App.config``."""
        leaves = {argument.name.lstrip("-").replace("-", "_"): argument for argument in arguments if argument.show}
        self.options = tuple(name for argument in leaves.values() for name in argument.names)
        known, strangers = _known(self.values, leaves)
        self._add(known, app, commands, arguments)
        if strangers and (plan := leaves.get("plan")) is not None and not plan.has_tokens:
            raise Mistakes(msg=f"--config {self.file}: a plan is given by itself: `segdistill study {self.file}`.")
        mistakes = [f"{name} in {self.file}: there is no such setting.{_nearest(name, leaves)}" for name in strangers]
        mistakes += [*_missing(leaves.values(), arguments), *_wrong(leaves, arguments)]
        if mistakes:
            raise Mistakes(msg="\n".join(mistakes))

    def _add(self, values: dict[str, Any], app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        from cyclopts.config import Dict

        for command in reversed(commands):  # else cyclopts would pass over a setting that has the name of a command
            values = {command: values}
        Dict(values, source=str(self.file))(app, commands, arguments)

    def explain(self, error: CycloptsError) -> str:
        """Return what is wrong with the command line, for a person."""
        if isinstance(error, Mistakes):
            return counted([*str(error).splitlines(), *unknown(error.unused_tokens or [], self.options)])
        return plain(error)


def plain(error: CycloptsError) -> str:
    """Return cyclopts' own words, without what only a programmer wants to know."""
    error.verbose = False
    return str(error)


def counted(mistakes: Iterable[str]) -> str:
    """Return mistakes below a line that says how many there are.

    >>> print(counted(["--steps: must be given.", "--sede: there is no such option."]))
    2 settings are wrong:
      --steps: must be given.
      --sede: there is no such option.
    """
    mistakes = list(mistakes)
    head = f"{len(mistakes)} setting{'s are' if len(mistakes) > 1 else ' is'} wrong:"
    return "\n  ".join([head, *mistakes])


def unknown(tokens: Iterable[str], options: Iterable[str]) -> Iterator[str]:
    """Yield a line for every word that belongs to no argument.

    Args:
        tokens: What was left over. Words after an unknown option are taken to belong to it.
        options: The options that there are.

    >>> list(unknown(["stray", "--sede=3", "5"], ["--seed", "--count"]))
    ["'stray': this word belongs to no option.", "--sede: there is no such option. Did you mean '--seed'?"]
    """
    options, belongs = list(options), False
    for token in tokens:
        if token.startswith("-"):
            name, belongs = token.partition("=")[0], True
            yield f"{name}: there is no such option.{_nearest_option(name, options)}"
        elif not belongs:
            yield f"{token!r}: this word belongs to no option."


def _nearest_option(name: str, options: Iterable[str]) -> str:
    """Suggest an option: what other programs call so, or one of the same last name or a similar one.

    >>> _nearest_option("--epoch", ["--teacher", "--protocol.steps"]), _nearest_option("--epoch", ["--teacher"])
    (" Did you mean '--protocol.steps'?", '')
    """
    bare = {option.lstrip("-"): option for option in options}  # else the dashes alone would make names similar
    asked = name.lstrip("-")
    meant = _ELSEWHERE.get(asked.replace("_", "-"))
    if meant in bare:
        return f" Did you mean {bare[meant]!r}?"
    guess = _nearest(asked, bare)
    return next((f" Did you mean {bare[each]!r}?" for each in bare if f" {each!r}?" in guess), "")


def _read(file: Path) -> dict[str, Any]:
    from segdistill.settings import read_toml

    return read_toml(file)


def _known(
    values: Mapping[str, Any], leaves: Mapping[str, Argument], prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Return the values that some argument takes, and the dotted names of the others."""
    known: dict[str, Any] = {}
    strangers: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key.replace('-', '_')}"
        if name in leaves:
            known[key] = value
        elif isinstance(value, Mapping) and any(leaf.startswith(f"{name}.") for leaf in leaves):
            known[key], deeper = _known(value, leaves, f"{name}.")
            strangers += deeper
        else:
            strangers.append(name)
    return known, strangers


def _nearest(name: str, known: Iterable[str]) -> str:
    """Suggest a setting: one of the same last name in any table, or else one of similar name.

    >>> known = ["protocol.scale", "protocol.steps", "objective.temperature"]
    >>> _nearest("protocol.stes", known), _nearest("protocol.temprature", known), _nearest("protocol.balance", known)
    (" Did you mean 'protocol.steps'?", " Did you mean 'objective.temperature'?", '')
    """
    known = list(known)
    elsewhere = [other for other in known if other.rpartition(".")[2] == name.rpartition(".")[2]]
    if elsewhere:
        return nearest(elsewhere[0], elsewhere)
    table, _, last = name.rpartition(".")
    if not table:
        return nearest(name, known)
    own_last = sorted(known, key=lambda each: each.startswith(f"{table}."))
    by_last = {each.rpartition(".")[2]: each for each in own_last}  # a table's name alone would make settings similar
    guess = nearest(last, by_last)
    return next((f" Did you mean {by_last[each]!r}?" for each in by_last if guess == f" Did you mean {each!r}?"), "")


def _missing(leaves: Iterable[Argument], arguments: ArgumentCollection) -> Iterator[str]:
    """Yield a line for every argument that must be given, where nothing of its model is: ``_wrong`` tells the rest."""
    silent = [argument for argument in arguments if not argument.keys and not argument.has_tokens]
    for leaf in leaves:
        if leaf.required and not leaf.has_tokens and any(leaf is root or leaf in root.children for root in silent):
            yield f"{leaf.name}: must be given."


def _wrong(leaves: Mapping[str, Argument], arguments: ArgumentCollection) -> Iterator[str]:
    """Yield a line for every value that cannot be what its argument wants."""
    for root in arguments:
        if root.keys or not root.has_tokens:
            continue
        try:
            root.convert_and_validate()
        except CycloptsError as error:
            yield from _lines(error, root, leaves)


def _lines(error: CycloptsError, root: Argument, leaves: Mapping[str, Argument]) -> list[str]:
    from pydantic import ValidationError

    from segdistill.settings.base import explain

    cause = error.__cause__ or error.__context__
    if not isinstance(cause, ValidationError):
        return [plain(error)]
    typed = {name: _typed(name, argument) for name, argument in leaves.items()}
    lines = (line.strip().partition(":") for line in explain(root.hint, cause).splitlines()[1:])
    return [f"{_by_prefix(name, typed)}:{rest}" for name, _, rest in lines]


def _typed(name: str, argument: Argument) -> str:
    """Return a setting's name as its user wrote it, and where if that was in a file."""
    files = {token.source for token in argument.tokens} - {"cli"}
    return f"{name} in {files.pop()}" if files else argument.name


def _by_prefix(name: str, typed: Mapping[str, str]) -> str:
    """Return what was typed for a setting or for a part of it: for ``split.0`` that is ``--split``."""
    parts = name.split(".")
    longest_first = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((typed[each] for each in longest_first if each in typed), name)
