"""The command line: one file per command; settings in, one call, print."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from segdistill.errors import SegdistillError

ENVIRONMENT, BUG, INTERRUPTED = 3, 70, 130


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    Args:
        tokens: Words after the program's name. None takes those of this process.

    The status is 0 when all is done, 1 when some files failed, 2 for wrong usage or settings, 3
    when the environment stands in the way, 4 when training was stopped, 70 for a bug.
    """
    sys.exit(status(sys.argv[1:] if tokens is None else tokens))


def status(tokens: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    from segdistill.cli.app import run

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs, our errors say with the file's name
    try:
        result = run(list(tokens))
        sys.stdout.flush()  # here, where a reader that has gone can still be handled
    except SegdistillError as error:
        print(f"segdistill: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("segdistill: interrupted. The same command goes on from what is on the disk.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it exits
        return 0
    except PermissionError as error:
        print(f"segdistill: the system refuses. {error}. Choose files that you may read or write.", file=sys.stderr)
        return ENVIRONMENT
    except Exception:  # the outermost frame: whatever arrives here is a bug and is shown whole
        import traceback

        traceback.print_exc()
        print("segdistill: this is a bug in segdistill. Please report it with the lines above.", file=sys.stderr)
        return BUG
    return result
