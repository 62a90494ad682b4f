"""The commands, each imported only when it is called."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml
from pydantic import BaseModel, ValidationError

from segdistill import __version__
from segdistill.errors import ConfigError
from segdistill.settings.base import explain

COMMANDS = {
    "demo": "The whole story offline, on simulated multiplexed tissue, in minutes.",
    "distill": "The main job: teach a small student, and say what the teacher bought.",
    "predict": "Segment images of any size with a student.",
    "evaluate": "Score masks against labels, whoever made them.",
    "check": "Read every image and label and say what would go wrong.",
    "targets": "Run a teacher once and store what it says of every image.",
    "simulate": "Write simulated multiplexed tissue with its labels.",
    "models": "List the students, with their sizes.",
    "teachers": "List the teachers, with their licences.",
}


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
        app.command(f"segdistill.cli.{name}:{name}", name=name, help=line)

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], config: Path | None = None
    ) -> Any:
        """Run one command.

        Args:
            tokens: The command and its options.
            config: A TOML file of the command's settings; what is given on the command line wins.
        """
        if config is not None:
            if not config.is_file():
                raise ConfigError(f"There is no settings file {config}.")
            app.config = Toml(config, use_commands_as_keys=False)
        return app(tokens, exit_on_error=False, error_formatter=_words, result_action="return_value")

    return app


def run(tokens: list[str]) -> int:
    """Run one command.

    Returns:
        Its exit status.
    """
    result = make_app().meta(tokens, exit_on_error=False, error_formatter=_words, result_action="return_value")
    return result if isinstance(result, int) else 0


def _words(error: CycloptsError) -> str:
    """Return what went wrong with the command line's words, every mistake of the settings at once."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ValidationError):
        return f"segdistill: {explain(BaseModel, cause)}"
    return f"segdistill: {error}"


def say(text: str) -> None:
    """Tell the person something, at once."""
    print(text, file=sys.stderr, flush=True)
