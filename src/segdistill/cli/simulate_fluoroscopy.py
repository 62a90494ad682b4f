"""`segdistill simulate-fluoroscopy`."""

from pathlib import Path

from segdistill.cli.app import say


def simulate_fluoroscopy(out: Path, *, clips: int = 6, frames: int = 40, seed: int = 0, films: bool = False) -> None:
    """Write simulated swallows under X-rays: clips of twelve structures that move and overlap, with their masks.

    Args:
        out: Folder for images/, labels/, manifest.csv and settings.toml. New or empty.
        clips: Number of clips, each of another person.
        frames: Frames of each clip, 15 of them a second.
        seed: Equal seeds give equal files.
        films: Also write clips/, a data set of the same clips as films, to try predict and evaluate on.
    """
    from segdistill.data.case import numbered
    from segdistill.data.simulate.fluoroscopy import FluoroscopySettings, write_fluoroscopy

    write_fluoroscopy(out, clips=clips, seed=seed, settings=FluoroscopySettings(frames=frames), films=films)
    told = f"{numbered(clips, 'clip')} of {numbered(frames, 'frame')} in {out}"
    say(f"{told}; --config {out / 'settings.toml'} says how to read them")
