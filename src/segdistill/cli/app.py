"""The commands, each imported only when it is called."""

import os
import sys
from collections.abc import Callable
from inspect import BoundArguments
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

from segdistill import __version__
from segdistill.cli.mistakes import CommandSettings, counted, plain, unknown
from segdistill.engine.ranks import layout
from segdistill.errors import ConfigError, UnknownName

COMMANDS = {
    "demo": "The whole story offline, on simulated multiplexed tissue, in minutes.",
    "distill": "The main job: teach a small student, and say what the teacher bought.",
    "study": "Compare arms, students, label budgets and seeds; run what is missing.",
    "adapt": "Fit a SAM to a task with few labels, and keep it as a teacher.",
    "pretrain": "Pre-train a student's encoder on images without their labels.",
    "synthesize": "Fit a diffusion model on training images, and draw images from it.",
    "agglomerate": "Make one light encoder of several large ones; students begin with it.",
    "predict": "Segment images of any size with a student.",
    "export": "Write a student for other runtimes, each proved equal on real images.",
    "bench": "Time a student on this machine, by everything that can run it.",
    "evaluate": "Score masks against labels, whoever made them.",
    "check": "Read every image and label and say what would go wrong.",
    "targets": "Run a teacher once and store what it says of every image.",
    "simulate": "Write simulated multiplexed tissue with its labels.",
    "simulate-fluoroscopy": "Write simulated swallows under X-rays: clips of twelve structures.",
    "models": "List the students, with their sizes.",
    "teachers": "List the teachers, with their licences.",
    "weights": "List, fetch or verify the weights of teachers.",
    "datasets": "List public data sets, fetch one, or write the manifest of one.",
}

TRAINING = frozenset({"demo", "distill", "study", "adapt", "pretrain", "synthesize", "agglomerate"})
"""Commands that several processes do together, started by `torchrun` or `srun`."""

DIVIDED = frozenset({"targets"})
"""Commands of which each such process does its own part."""

_USAGE = {
    "predict": "MODEL IMAGES... --out OUT [OPTIONS]",
    "export": "MODEL OUT [OPTIONS]",
    "bench": "MODEL [OPTIONS]",
}
"""Of commands that take more by place than one had better give so."""

_OPTIONS = ("--config", "--help", "--version")


def make_app() -> App:
    """Return the command line, no command imported yet."""
    app = App(
        name="segdistill",
        help="Distil large vision foundation models into small segmentation networks.",
        version=__version__,
        default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
        help_format="plaintext",
    )
    for name, line in COMMANDS.items():
        module = name.replace("-", "_")
        usage = f"Usage: segdistill {name} {_USAGE[name]}" if name in _USAGE else None
        app.command(f"segdistill.cli.{module}:{module}", name=name, help=line, usage=usage)

    app.meta.suppress_keyboard_interrupt = False  # `cli.status` says what to do then

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], config: Path | None = None
    ) -> Any:
        """Run one command.

        Args:
            tokens: The command and its options.
            config: A TOML file of the command's settings; what is given on the command line wins.
        """
        return _call(app, list(tokens), CommandSettings(config))

    return app


def run(tokens: list[str]) -> int:
    """Run one command.

    Returns:
        Its exit status.

    Raises:
        ConfigError: Words or settings are wrong; all of them are named.
        UnknownName: There is no such command.
    """
    try:
        result = make_app().meta(tokens, print_error=False, exit_on_error=False, result_action="return_value")
    except CycloptsError as error:
        raise ConfigError(plain(error)) from error
    return result if isinstance(result, int) else 0


def _call(app: App, tokens: list[str], settings: CommandSettings) -> Any:
    if tokens and not tokens[0].startswith("-") and tokens[0] not in COMMANDS:
        raise UnknownName("command", tokens[0], COMMANDS)
    app.config = settings
    command, bound, left = _parse(app, tokens, settings)
    if left:
        raise ConfigError(counted(unknown(left, settings.options)))
    return _started(tokens[0] if tokens else "", lambda: command(*bound.args, **bound.kwargs))


def _started(name: str, command: Callable[[], Any]) -> Any:
    """Call a command as the processes that a launcher started may: together, each its part, or only alone.

    Raises:
        ConfigError: Several were started, and the command is one for one process.
    """
    here = layout(os.environ)
    if here.world == 1 or name in DIVIDED:
        return command()
    if name not in TRAINING:
        raise ConfigError(
            f"{here.launcher} started {here.world} processes, but `{name}` is a command for one. Start it without"
            f" {here.launcher}."
        )
    from segdistill.engine import lead

    return lead(command, notice=say)


def _parse(app: App, tokens: list[str], settings: CommandSettings) -> tuple[Any, BoundArguments, list[str]]:
    """Return a command, its arguments, and the words that belong to none of them."""
    try:
        command, bound, left, _ = app.parse_known_args(tokens)
    except UnknownCommandError as error:  # its own words would import every command to suggest one
        raise ConfigError(counted(unknown(error.unused_tokens or tokens, _OPTIONS))) from error
    except CycloptsError as error:
        raise ConfigError(settings.explain(error)) from error
    return command, bound, left


def say(text: str) -> None:
    """Tell the person something, at once."""
    print(text, file=sys.stderr, flush=True)
