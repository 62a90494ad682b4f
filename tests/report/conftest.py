"""Made-up content for reports: plausible numbers and pictures, from a seed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from segdistill.report import (
    AgreementRow,
    Answer,
    ArmRow,
    ChannelRow,
    ClaimRow,
    ComparisonRow,
    Convention,
    CostPoint,
    DataCheck,
    Doubles,
    Dropped,
    Facts,
    GainPoint,
    GalleryCase,
    GroupRow,
    GroupScores,
    Headline,
    Ladder,
    LearningRun,
    Licence,
    MetricRow,
    ParametersRow,
    Part,
    ReferenceRow,
    ReliabilityCurve,
    ReportContent,
    Role,
    Rung,
    SizeRow,
    Spread,
    StructureRow,
    Suspect,
)
from segdistill.report.check_content import Balance, ChannelHistograms, CheckContent, CheckPicture
from segdistill.report.check_page import contact_picture
from segdistill.report.study_content import (
    Against,
    BudgetLine,
    BudgetPoint,
    ElsewhereCell,
    StudentPart,
    StudyArmRow,
    StudyContent,
)

FIELDS = [f"tissue_{number:04d}" for number in range(12)]


def make_rung(name: str, role: Role, mean: float, words: str, *, seeds: int = 3, labels: int | None = 6) -> Rung:
    draw = np.random.default_rng(len(name))
    per_seed = {seed: mean + (0.007, -0.004, -0.003)[seed % 3] for seed in range(seeds)}
    sd = float(np.std(list(per_seed.values()), ddof=1)) if seeds > 1 else None
    spread = np.random.default_rng(3).normal(size=len(FIELDS)) * 0.03
    own = draw.normal(size=len(FIELDS)) * 0.012
    per_field = {
        field: Spread(mean=float(min(0.99, mean + both + alone)), sd=None if sd is None else 0.008)
        for field, both, alone in zip(FIELDS, spread, own, strict=True)
    }
    return Rung(
        name=name,
        role=role,
        description=words,
        score=Spread(mean=mean, sd=sd),
        per_seed=per_seed,
        per_field=per_field,
        labels_used=labels,
    )


def make_ladder() -> Ladder:
    rungs = (
        make_rung("baseline", "baseline", 0.778, "6 labels, no teacher"),
        make_rung("control", "control", 0.784, "teacher that sees the nucleus only"),
        make_rung("student", "student", 0.836, "6 labels, targets on 130 images", labels=24),
        make_rung("all-labels", "all-labels", 0.842, "no teacher, all 130 labels", labels=130),
        make_rung("teacher", "teacher", 0.944, "sees nucleus and membrane", seeds=0, labels=18),
    )
    return Ladder(
        title="6 labelled images, targets on 130",
        rungs=rungs,
        baseline="baseline",
        student="student",
        teacher="teacher",
        recovery=0.886,
        gap_closed=0.352,
    )


def make_small_ladder() -> Ladder:
    rungs = (
        make_rung("all-labels", "all-labels", 0.842, "no teacher", labels=130),
        make_rung("student, all labels", "student", 0.848, "and targets", labels=130),
        make_rung("teacher", "teacher", 0.944, "sees both", seeds=0, labels=130),
    )
    return Ladder(title="All 130 labels: here it matters little", rungs=rungs)


def make_case(name: str, rank: Any, *, seed: int, shape: tuple[int, int] = (128, 160)) -> GalleryCase:
    draw = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    centres = draw.uniform((0, 0), shape, size=(26, 2))
    distance = np.stack([np.hypot(rows - y, (columns - x) * 0.9) for y, x in centres])
    nearest, second = np.sort(distance, axis=0)[:2]
    label = np.where((second - nearest > 2.5) & (nearest < 20), distance.argmin(axis=0) + 1, 0)
    nucleus = np.clip(1.4 - nearest / 8, 0, 1) * (0.6 + 0.1 * (label % 5))
    membrane = np.exp(-(((second - nearest - 2) / 2.5) ** 2)) * (nearest < 24)
    view = np.stack([ndimage.gaussian_filter(plane, 0.8) for plane in (nucleus, membrane)])
    view = np.clip(view + draw.normal(scale=0.05, size=view.shape), 0, 1).astype(np.float32)
    soft = ndimage.gaussian_filter((label > 0).astype(float), 1.5)
    wander = ndimage.gaussian_filter(draw.normal(size=shape), 5) * 12
    counts = (columns < shape[1] - 14) if rank == "worst" else None
    return GalleryCase(
        name=name,
        rank=rank,
        scores={"baseline": 0.71 + 0.01 * seed, "student": 0.8 + 0.01 * seed, "teacher": 0.94},
        teacher_view=view,
        teacher_channels=("nucleus", "membrane"),
        student_view=view[:1],
        student_channels=("nucleus",),
        label=label.astype(np.int32),
        teacher_map=soft.astype(np.float32),
        baseline=np.where(nearest + 1.5 * wander < 13, distance.argmin(axis=0) + 1, 0).astype(np.int32),
        student=np.where(nearest + 0.6 * wander < 17, distance.argmin(axis=0) + 1, 0).astype(np.int32),
        counts=counts,
    )


def make_run(arm: str, role: Role, seed: int, *, steps: int = 600) -> LearningRun:
    draw = np.random.default_rng((seed, len(arm)))
    records: list[dict[str, Any]] = []
    for step in range(0, steps + 1, 5):
        fade = math.exp(-step / 150)
        noise = 1 + 0.08 * float(draw.normal())
        terms = {"segmentation": (0.2 + 0.9 * fade) * noise, "boundary": (0.4 + 0.7 * fade) * noise}
        weights = {"s_segmentation": -1.2 * (1 - fade), "s_boundary": -0.7 * (1 - fade)}
        if role != "baseline":
            terms["distillation"] = ((0.03 if role == "control" else 0.01) + 0.12 * fade) * noise
            weights["s_distillation"] = (-2.9 if role == "control" else -3.6) * (1 - fade)
        records.append(
            {"step": step, "loss": sum(terms.values()) - 1, "terms": terms, "weights": weights}
            | {"learning_rate": 1e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps))}
        )
        if step % 50 == 0:
            top = {"baseline": 0.778, "control": 0.79}.get(role, 0.84)
            records.append(
                {"step": step, "validation": {"score": top * (1 - 0.6 * fade) + 0.004 * float(draw.normal())}}
            )
    return LearningRun(arm=arm, role=role, seed=seed, records=tuple(records))


def make_arms() -> tuple[ArmRow, ...]:
    rows = []
    for setting, ladder in (("6 labels", make_ladder()), ("all labels", make_small_ladder())):
        for rung in ladder.rungs:
            small, mean = rung.role != "teacher", rung.score.mean or 0.0
            scores = {"Dice": rung.score, "IoU": Spread(mean=mean - 0.1, sd=rung.score.sd)}
            scores |= {"AP@0.5": Spread(mean=mean - 0.2, sd=rung.score.sd), "F1": Spread(mean=mean - 0.12)}
            rows.append(
                ArmRow(
                    name=rung.name,
                    role=rung.role,
                    setting=setting,
                    scores=scores,
                    recovery=mean / 0.944 if small else None,
                    recovery_ends=(mean / 0.944 - 0.01, mean / 0.944 + 0.012) if small else None,
                    gap_closed=(mean - 0.778) / (0.944 - 0.778) if rung.role == "student" else None,
                    gap_closed_ends=(0.31, 0.39) if rung.role == "student" else None,
                    labels_used=rung.labels_used,
                    labels_saved="34 (95 % interval −4 to more than 106)" if rung.name == "student" else "",
                    parameters=14_328_000 if small else 701_000,
                    encoder_parameters=11_176_512 if small else 455_000,
                    gigamacs_per_megapixel=82.4 if small else 311.0,
                    train_minutes=1.37 if small else None,
                    watt_hours=(0.13, 0.65) if small else None,
                )
            )
    return tuple(rows)


def make_comparison(first: str, second: str, difference: float, **changes: Any) -> ComparisonRow:
    clear = abs(difference) > 0.02
    parts: dict[str, Any] = {
        "metric": "Dice",
        "words": "the teacher's targets, beside the same labels",
        "ends": (difference - 0.02, difference + 0.02),
        "better": 11 if clear else 7,
        "fields": 12,
        "seeds": 3,
        "p": 2 / 4096 if clear else 0.34,
        "smallest_p": 2 / 4096,
        "holm": 0.0015 if clear else 0.34,
        "tests": 5,
        "judged": 0.0015 if clear else 0.34,
        "effect": 100 * difference / 2,
        "effect_ends": (100 * difference / 2 - 0.7, 100 * difference / 2 + 0.8),
        "detectable": 0.026,
        "claim": ("better" if difference > 0 else "worse") if clear else "none",
    }
    return ComparisonRow(first=first, second=second, difference=difference, **(parts | changes))


def make_comparisons() -> tuple[ComparisonRow, ...]:
    return (
        make_comparison("student", "baseline", 0.058),
        make_comparison("control", "baseline", 0.006, words="a teacher that knows no more than the student's channels"),
        make_comparison("student", "control", 0.052, words="what the teacher sees and the student does not"),
        make_comparison("student", "all-labels", -0.006, words="the student, against all labels without a teacher"),
        make_comparison("student", "baseline", -0.031, metric="AP@0.5"),
    )


def make_content(**changes: Any) -> ReportContent:
    """Return a full report's content; keyword arguments replace parts of it."""
    ranks = ["best"] * 2 + ["median"] * 2 + ["worst"] * 2
    parts: dict[str, Any] = {
        "title": "tiny SAM on nucleus + membrane teaches unet-resnet18 on the nucleus alone, simulated tissue",
        "run_id": "8f3c2a91d07e",
        "made": "2026-03-14 10:21 UTC",
        "answer": "yes",
        "verdict": (
            "With 6 labelled images, distillation lifts the student from 77.8 to 83.6 Dice:"
            " 35 % of the way to the teacher.",
            "A teacher restricted to the nucleus adds 0.6, so most of the gain comes from the membrane channel."
            " Means over 12 held-out fields and 3 seeds.",
        ),
        "headlines": (
            Headline(value="35 %", label="gap closed", detail="baseline 77.8 → student 83.6 → teacher 94.4"),
            Headline(value="89 %", label="recovery", detail="student's Dice ÷ teacher's"),
            Headline(value="24", label="labels used", detail="6 by the student, 18 to fit its teacher"),
            Headline(value="14.3 M", label="parameters", detail="82 GMAC per megapixel"),
        ),
        "ladders": (make_ladder(), make_small_ladder()),
        "notes": (
            "Simulated tissue: the result says that the method works, not how it does on your images.",
            "The teacher was fitted on 18 labelled fields; targets on those are made out of fold.",
            "Where all 130 labels are there, the gain is within the spread of seeds.",
        ),
        "comparisons": make_comparisons(),
        "remarks": ("Within a margin of 2 points of Dice, the student does no worse than all labels (−0.6 points).",),
        "claims": (
            ClaimRow(claim="A teacher helps.", source="arXiv:1", state="reproduced", here="student − baseline: +5.8"),
            ClaimRow(claim="Two help more.", source="arXiv:2", state="untested here", here="would need two teachers"),
        ),
        "references": (
            ReferenceRow(
                what="Swin-Tiny", data="TissueNet", score="Dice, %", printed="78.36 ± 1.44", source="arXiv:1, abstract"
            ),
        ),
        "arms": make_arms(),
        "gallery": tuple(make_case(FIELDS[n], rank, seed=n) for n, rank in enumerate(ranks)),
        "sizes": tuple(
            SizeRow(
                structure="cell",
                low=low,
                high=3 * low,
                unit="µm²",
                objects=1234,
                found={"baseline": 0.5 + low / 400, "student": 0.6 + low / 400},
            )
            for low in (10.0, 31.5, 98.25)
        ),
        "structures": tuple(
            StructureRow(
                structure=structure,
                metric=metric,
                unit=unit,
                fields=12,
                scores={
                    name: Spread(mean=mean * times, sd=0.011 * times)
                    for name, mean in (("baseline", low), ("student", high))
                },
            )
            for structure, low, high in (("epiglottis", 0.4, 0.5), ("tongue", 0.8, 0.9))
            for metric, unit, times in (("Dice", "%", 1.0), ("HD95", "px", 10.0))
        ),
        "metrics": tuple(
            MetricRow(
                metric=metric,
                meaning=f"what {metric} says",
                unit=unit,
                higher_is_better=higher,
                structure=structure,
                fields=12,
                scores={
                    name: Spread(mean=mean * times, sd=0.011 * times)
                    for name, mean in (("baseline", 0.7), ("control", 0.71), ("student", 0.8), ("all-labels", 0.85))
                },
            )
            for metric, unit, higher, times in (
                ("Dice", "%", True, 1.0),
                ("NSD", "% within 2 px", True, 1.0),
                ("HD95", "px", False, 10.0),
            )
            for structure in ("mean over structures", "epiglottis", "tongue")
        ),
        "groups": GroupScores(
            column="scanner",
            rows=tuple(
                GroupRow(
                    value=value,
                    metric=metric,
                    fields=fields,
                    scores={
                        name: Spread(mean=mean - less, sd=0.011)
                        for name, mean in (("baseline", 0.778), ("student", 0.836), ("teacher", 0.944))
                    },
                )
                for metric, less in (("Dice", 0.0), ("AP@0.5", 0.2))
                for value, fields in (("A", 7), ("B", 4), ("not stated", 1))
            ),
        ),
        "gains": (
            GainPoint(
                student="unet-mobilenetv3",
                arm="student",
                baseline="baseline",
                parameters=6_700_000,
                gain=-0.004,
                ends=(-0.02, 0.012),
            ),
            GainPoint(
                student="unet-resnet18",
                arm="student",
                baseline="baseline",
                parameters=14_328_000,
                gain=0.058,
                ends=(0.038, 0.078),
            ),
        ),
        "parameters": (
            ParametersRow(arm="baseline", role="baseline", trained=14_328_000, kept=14_328_000),
            ParametersRow(arm="student", role="student", trained=14_328_065, kept=14_328_000, beyond=0),
        ),
        "costs": (
            CostPoint(name="unet-resnet18", role="student", score=0.836, milliseconds=412.0, parameters=14_328_000),
            CostPoint(name="unet-mobilenetv3", role="student", score=0.821, milliseconds=96.0, parameters=6_700_000),
            CostPoint(name="teacher", role="teacher", score=0.944, milliseconds=64_000.0, parameters=641_000_000),
        ),
        "machine": "2 threads of a processor",
        "reliability": (
            ReliabilityCurve(
                who="student",
                role="student",
                bins=tuple((x, x**1.4, 9000) for x in (0.03, 0.1, 0.3, 0.5, 0.7, 0.97)),
                error=0.031,
            ),
            ReliabilityCurve(
                who="teacher", role="teacher", bins=((0.02, 0.01, 50_000), (0.98, 0.97, 40_000)), error=0.012
            ),
        ),
        "agreement": (
            AgreementRow(who="student", both=0.71, only_own=0.02, only_teacher=0.21, neither=0.06, pixels=52_000),
            AgreementRow(who="baseline", both=0.62, only_own=0.03, only_teacher=0.3, neither=0.05, pixels=54_000),
        ),
        "channels": (
            ChannelRow(who="teacher", role="teacher", channel="nucleus", whole=0.944, without=0.811, fields=6),
            ChannelRow(who="teacher", role="teacher", channel="membrane", whole=0.944, without=0.402, fields=6),
        ),
        "runs": tuple(
            make_run(arm, role, seed)
            for arm, role in (("baseline", "baseline"), ("control", "control"), ("student", "student"))
            for seed in range(3)
        ),
        "checked": DataCheck(
            parts=tuple(
                Part(name=name, images=images, labelled=images - 1, groups=images, empty=empty)
                for name, images, empty in (("train", 130, 2), ("validation", 24, 0), ("test", 12, 0))
            ),
            looked_at=100,
            facts=(
                ("size (y × x)", "200 × 256 to 512 × 640"),
                ("type", "uint16"),
                ("pixel size", "0.5 µm; not stated"),
            ),
            suspects=(
                Suspect(name="tissue_0003", part="train", reasons=("cell: the labels fit the image better mirrored",)),
            ),
            more_suspects=3,
            doubles=(
                Doubles(nearly=True, images=(("tissue_0001", "train"), ("tissue_0011", "test"))),
                Doubles(nearly=False, images=(("tissue_0005", "train"), ("tissue_0006", "train"))),
            ),
            balance=(
                Balance(
                    label_set="cell",
                    structure="cell",
                    images=125,
                    of_images=130,
                    share=0.31,
                    objects=9021,
                    median_size=412.0,
                ),
            ),
            remarks=("Images have different types: uint16 in 129; uint8 in 1: tissue_0100.",),
        ),
        "command": "segdistill distill --data tissue --teacher sam-tiny --teacher-channels nucleus membrane"
        " --student unet-resnet18 --student-channels nucleus --seeds 0 1 2 --out runs/first",
        "provenance": (
            Facts(title="Versions", values={"segdistill": "0.1.0", "torch": "2.9.0", "Python": "3.11.9"}),
            Facts(title="Device", values={"device": "CPU, 2 threads", "training": "4 min 12 s", "memory": "1.9 GB"}),
            Facts(
                title="Cost of training",
                values={
                    "training": "12 min 20 s in 9 runs",
                    "energy, estimate": "1.17 to 5.85 Wh",
                    "rests on": "23 min 24 s of processor time × 3 to 15 W assumed for a busy core. Not in it: memory",
                    "on the disk": "210.4 MB in all, 57.3 MB the student",
                },
            ),
            Facts(title="Seeds", values={"data": "0", "training": "0, 1, 2"}),
            Facts(title="Hashes (SHA-256)", values={"images": "9b1c" * 16, "teacher's weights": "77ae" * 16}),
        ),
        "licences": (
            Licence(subject="teacher sam-tiny", licence="Apache-2.0", note="made by this package"),
            Licence(subject="data", licence="CC0-1.0"),
        ),
        "dropped": (Dropped(what="images without membrane", why="the teacher needs it", count=2),),
        "conventions": (
            Convention(case="label and prediction both empty", rule="Dice and IoU are 1"),
            Convention(case="one of them empty", rule="Dice and IoU are 0"),
            Convention(case="prediction missing", rule="counts as empty; it never drops out"),
        ),
    }
    return ReportContent(**(parts | changes))


@pytest.fixture(scope="session")
def content() -> Callable[..., ReportContent]:
    """Return the maker of content, so that a test can replace parts."""
    return make_content


@pytest.fixture(scope="session")
def case() -> Callable[..., GalleryCase]:
    """Return the maker of gallery cases."""
    return make_case


@pytest.fixture(scope="session")
def comparison() -> Callable[..., ComparisonRow]:
    """Return the maker of comparisons."""
    return make_comparison


@pytest.fixture(scope="session")
def rung() -> Callable[..., Rung]:
    """Return the maker of rungs."""
    return make_rung


@pytest.fixture(scope="session")
def run() -> Callable[..., LearningRun]:
    """Return the maker of logs."""
    return make_run


@pytest.fixture(scope="session")
def check_content() -> CheckContent:
    """Return a page's worth of findings about a data set."""
    uri = contact_picture(np.ones((1, 8, 9), np.float32), ["a"], [], np.ones((8, 9), bool), side=9)
    return CheckContent(
        data="plate <1>",
        made="now",
        facts=(("images", "12"),),
        faults=("<b>bold</b>.tif is damaged", "another"),
        remarks=("Images differ.",),
        odd=(CheckPicture(name="odd", uri=uri, words="3 objects", reasons=("looks odd",)),),
        pictures=(CheckPicture(name="x" * 90, uri=uri, words="not labelled"),),
        left_out=7,
        histograms=(
            ChannelHistograms(
                channel="DAPI",
                stored={"a": np.array([1.0, 0.25, 0, 0])},
                low=0.0,
                high=4095.0,
                normalised={"a": np.array([0, 0, 0, 1.0])},
            ),
        ),
        balance=(Balance(label_set="organ", structure="bit 4", images=3, of_images=5, share=0.123),),
        images=(("odd", "8 × 9", "uint8", "0.5 µm", "DAPI"),),
    )


@pytest.fixture(scope="session")
def study_content() -> StudyContent:
    """Return what the page of a study is handed: two students, two budgets, another data set, names to be escaped."""

    def row(arm: str, role: Role, mean: float, against: Against | None = None) -> StudyArmRow:
        scores = {"dice": Spread(mean=mean, sd=0.01)}
        own = ArmRow(
            name=arm, role=role, setting="2 labels", scores=scores, training=mean + 0.1, labels_used=7,
            parameters=12_000, train_minutes=1.5,
        )  # fmt: skip
        return StudyArmRow(row=own, against=against)

    def part(name: str, answer: Answer, difference: float, claim: str) -> StudentPart:
        against = Against(baseline="baseline-2", difference=difference, ends=(difference - 0.02, 0.3), claim=claim)
        points = tuple(
            BudgetPoint(labels=labels, mean=mean, ends=(mean - 0.05, mean + 0.05))
            for labels, mean in (("2", 0.6), ("all", 0.7))
        )
        return StudentPart(
            name=name,
            report=f"{name}/report.html",
            answer=answer,
            reserve="2 seeds",
            sentence=f"What {name} got out of it, in one sentence of usual length, with a number: 71.2 %.",
            asked="student-2",
            arms=(row("baseline-2", "baseline", 0.6), row("student-2", "student", 0.6 + difference, against)),
            budgets=(
                BudgetLine(arm="baseline", role="baseline", points=points),
                BudgetLine(arm="student", role="student", points=points[:1]),
            ),
        )

    return StudyContent(
        title="2 students on <nucleus>",
        made="Made for a test",
        gist="Distillation helped 1 of 2 students and hurt 1.",
        students=(part("unet-a", "yes", 0.05, "better"), part("unet-b", "no", -0.2, "worse, 2 seeds")),
        gains=tuple(
            GainPoint(
                student=name,
                arm="student-2",
                baseline="baseline-2",
                parameters=size,
                gain=gain,
                ends=(gain - 0.01, 0.3),
            )
            for name, size, gain in (("unet-a", 12_000, 0.05), ("unet-b", 3_000_000, -0.2))
        ),
        elsewhere=(ElsewhereCell(data="phone", student="unet-a", arm="student-2", score=Spread(mean=0.425)),),
        notes=("Arm longer differs.",),
        licences=(),
        command="segdistill study plan.toml",
    )
