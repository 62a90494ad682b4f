"""Make docs/results.md, and its pictures, of what experiments and benchmarks kept; no number is typed by hand."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from results_page.agreement import agreement_section
from results_page.controls import controls_section
from results_page.convergence import convergence_section, longer_runs
from results_page.familiar import familiar_section
from results_page.few_labels import few_labels_section
from results_page.hela import folds_of, hela_sections
from results_page.mixture import mixture_section
from results_page.paper import paper_section
from results_page.picture import ladder_picture
from results_page.readings import beside_of
from results_page.scale import scale_section
from results_page.sections import study_section
from results_page.speed import benchmark_sections, read_benchmarks
from results_page.stored import Result, make_study, read_results
from results_page.tuning import tuning_section
from results_page.ways import ways_section
from segdistill.files import whole_file
from segdistill.study.comparisons import ALONE, Beside

ROOT = Path(__file__).resolve().parent.parent

HEADER = """\
# Results

<!-- Made by `python experiments/summarise.py`; do not edit. -->

This page is made by `python experiments/summarise.py` from `experiments/results/**/*.json` and
`benchmarks/results/*.json` alone. Scores are percentages, on fields that no student was trained or tuned on.
*Labels used* counts every labelled image once, wherever it was used, to fit the teacher too. *Recovery* is
student / teacher, *gap closed* is (student − baseline) / (teacher − baseline), stated only where the interval of
the gap excludes zero; in the readings a gain is *clear* only where its 95 % interval excludes zero. Intervals are
two-way bootstraps over seeds and fields. In the tables of differences a *claim* takes more: p of the paired test
over fields of at most 0.05 too, after Holm's correction for every difference by that score in all sections of one
experiment; only the question student − baseline is judged by its own p, corrected for the number of students of whom
it is asked. *d_z* is the mean difference in standard deviations of the fields' differences; *could be seen from* is
the smallest true difference that so many fields and seeds would show in four studies of five, a dash where they can
claim none. Where an order or a claim fails, that is printed first."""

ONE_FIELD = (
    "One field cut into guarded halves: a demonstration (n = 1) that maps of real tools can teach; it says"
    " nothing about other fields."
)
HALF = (
    "Whole cells, at half the resolution of the files: images by linear interpolation, labels by nearest neighbour."
    " Each HeLa field is left out in turn; the next one chooses weights and thresholds, the other three train."
)
SCALE = "python experiments/vessels_scale.py --data DATA --runs RUNS --weights WEIGHTS"
TISSUE = "python experiments/tissue.py --data DATA --runs RUNS"


@dataclass(frozen=True)
class Experiment:
    """A single result and how it is made."""

    title: str
    command: str
    remark: str


EXPERIMENTS = {
    "demo": Experiment(
        "The embedded demo (simulated tissue)",
        "python experiments/demo.py --runs RUNS",
        "Simulated tissue, in the regime where distillation should matter most: it shows that the method works and how"
        " it is accounted for, not what it brings on real images.",
    ),
    "vessels/drive_to_chase": Experiment(
        "Vessels: `drive` to `chase_db1`",
        "python experiments/vessels.py --data DATA --runs RUNS --weights WEIGHTS",
        "The student was given no label; its teacher's authors used those of DRIVE, and they are counted. A field here"
        " is a child, of whom both eyes were imaged.",
    ),
    "vessels/drive_to_chase_scaled": Experiment(
        "Vessels: `drive` to `chase_db1` at the scale of `drive`",
        "python experiments/vessels.py --data DATA --runs RUNS --weights WEIGHTS --scale-of-drive",
        "As above, the test images brought to the width of DRIVE's, since the teacher was made at that scale.",
    ),
    "tissue/mibi": Experiment("Tissue: `mibi`", TISSUE, ONE_FIELD),
    "tissue/codex_expert1": Experiment("Tissue: `codex`, against expert 1", TISSUE, ONE_FIELD),
    "tissue/codex_expert2": Experiment("Tissue: `codex`, against expert 2", TISSUE, ONE_FIELD),
    **{
        f"bbbc038/{student}": Experiment(
            f"Nuclei of every modality (`bbbc038`): {student}",
            f"python experiments/bbbc038.py --data DATA --runs RUNS --students {student}",
            "The teacher, a small SAM fitted to the training groups out of fold, sees what the student sees: what it"
            " may bring is knowledge of images without labels, none of other channels.",
        )
        for student in ("unet-mobilenetv3", "unet-resnet18", "unet-efficientnet-b0", "unet-swin-tiny")
    },
}
"""Result to what it is."""


def make_page(
    results: Mapping[str, Result], results_folder: Path, benchmarks_folder: Path, screens: Collection[str] = ()
) -> tuple[str, dict[str, str]]:
    """Return the page and its pictures.

    Args:
        results: What was kept, by name.
        results_folder: Where it was kept; tunings and the comparison of objects are read from there too.
        benchmarks_folder: Where the benchmarks were kept.
        screens: File names of the pictures of first screens, and of drawn images, that lie in results/.

    Returns:
        Markdown; and file name to SVG, which the page looks for in results/.
    """
    folds = folds_of(results)
    pictures = _pictures(results)
    parts = [HEADER, *_single("demo", results, pictures, screens)]
    parts += tuning_section(
        results_folder / "demo_tuning.json",
        title="Tuning of the demo, before its ladder",
        command="python experiments/demo_tuning.py --runs RUNS",
    )
    parts += ["## `livecell_phase`: nucleus and phase teach the nucleus alone", HALF]
    parts += tuning_section(
        results_folder / "livecell_tuning.json",
        title="Tuning of the baseline, in each fold on its validation field",
        command="python experiments/livecell_tuning.py --data DATA --runs RUNS",
        without=("chosen",),
    )
    parts += hela_sections(
        folds, {student: f"results/{name}" for student in folds if (name := _hela_file(student)) in pictures}
    )
    parts += convergence_section(results)
    for name in longer_runs(results):
        if (file := f"{name.replace('/', '_')}_screen.png") in screens:
            parts.append(f"![The first screen of its report](results/{file})")
    parts += controls_section(results_folder / "livecell_controls")
    for name in EXPERIMENTS:
        if name != "demo":
            parts += _single(name, results, pictures, screens)
        if name == "vessels/drive_to_chase":
            parts += scale_section(results_folder / "vessels_scale.json", command=SCALE)
    known = {*EXPERIMENTS, *longer_runs(results), *(result.name for own in folds.values() for result in own.values())}
    for name in sorted(set(results) - known):
        parts += _single(name, results, pictures, screens)
    parts += mixture_section(results_folder / "mixture.json")
    parts += few_labels_section(results_folder / "few_labels", screens)
    parts += ["## `codex`: how far the experts agree"]
    parts += agreement_section(results_folder / "experts.json", command="python experiments/experts.py --data DATA")
    parts += ["## Objects: seeds from boundaries or from distances (`bbbc038`)"]
    parts += ways_section(
        results_folder / "nuclei.json", command="python experiments/nuclei.py --data DATA --runs RUNS"
    )
    parts += ["### Where cells touch: simulated tissue"]
    parts += ways_section(results_folder / "dense.json", command="python experiments/dense.py --demo DEMO")
    parts += ["## Images unlike the training"]
    parts += familiar_section(
        results_folder / "familiarity.json", command="python experiments/familiarity.py --data DATA --runs RUNS"
    )
    parts += ["## Benchmarks", *benchmark_sections(read_benchmarks(benchmarks_folder))]
    parts += ["## The paper's own, on other data", *paper_section()]
    return "\n\n".join(parts) + "\n", pictures


def _single(
    name: str, results: Mapping[str, Result], pictures: Mapping[str, str], screens: Collection[str]
) -> list[str]:
    """Return the section of an experiment that is one result; where it was not run, that and the command."""
    known = EXPERIMENTS.get(name, Experiment(f"`{name}`", "not known to this page", ""))
    head = f"## {known.title}"
    study = make_study([results[name]]) if name in results else None
    if study is None:
        return [head, f"Not run yet: there is no `experiments/results/{name}.json`. Command: `{known.command}`."]
    seeds = f" --seeds {' '.join(map(str, study.seeds))}" if name in EXPERIMENTS and name != "demo" else ""
    picture = f"results/{file}" if (file := _file(name)) in pictures else None
    screen = f"results/{file}" if (file := f"{name.replace('/', '_')}_screen.png") in screens else None
    remarks = [known.remark] if known.remark else []
    section = study_section(
        study,
        command=known.command + seeds,
        picture=picture,
        screen=screen,
        remarks=remarks,
        beside=_beside(name, results),
    )
    return [head, *section]


def _beside(name: str, results: Mapping[str, Result]) -> Beside:
    """Return the tests of the results that lie in the same folder as this one: they are read beside it."""
    folder = name.rpartition("/")[0]
    alike = [other for other in results if folder and other.rpartition("/")[0] == folder]
    studies = {other: study for other in alike if (study := make_study([results[other]])) is not None}
    return beside_of(studies).get(name, ALONE)


def _pictures(results: Mapping[str, Result]) -> dict[str, str]:
    """Return file name to picture, of every study."""
    folds = folds_of(results)
    joined = {*longer_runs(results), *(result.name for own in folds.values() for result in own.values())}
    studies = {_file(name): [result] for name, result in results.items() if name not in joined}
    studies |= {_hela_file(student): list(own.values()) for student, own in folds.items()}
    made = {name: make_study(own) for name, own in studies.items()}
    return {name: ladder_picture(study) for name, study in made.items() if study is not None}


def _file(name: str) -> str:
    return f"{name.replace('/', '_')}.svg"


def _hela_file(student: str) -> str:
    return _file(f"livecell_phase/{student}")


def write_page(results: Path, benchmarks: Path, out: Path) -> None:
    """Write the page and, beside it in results/, its pictures.

    Args:
        results: Folder of the experiments' results.
        benchmarks: Folder of the benchmarks' results.
        out: The Markdown file.
    """
    screens = {path.name for end in ("screen", "drawn") for path in (out.parent / "results").glob(f"*_{end}.png")}
    page, pictures = make_page(read_results(results), results, benchmarks, screens)
    for name, picture in pictures.items():
        with whole_file(out.parent / "results" / name) as partial:
            partial.write_text(picture, encoding="utf-8")
    with whole_file(out) as partial:
        partial.write_text(page, encoding="utf-8")


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "experiments" / "results")
    parser.add_argument("--benchmarks", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md")
    given = parser.parse_args()
    write_page(given.results, given.benchmarks, given.out)
    print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
