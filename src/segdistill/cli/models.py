"""`segdistill models`."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segdistill.cli.tables import show

if TYPE_CHECKING:
    from segdistill.networks.facts import KnownStudent


def models(*, every: Annotated[bool, Parameter(name="--all", negative="")] = False) -> None:
    """List the students, with their sizes.

    Args:
        every: Also list those that are called after a timm encoder.
    """
    from segdistill.networks.facts import CHANNELS, LIMIT, OUTPUTS, known_students
    from segdistill.plugins import names

    students = known_students()
    columns = ("student", "encoder, M", "in all, M", "GMAC per Mpx", "sees, px")
    rows = [
        (*_size(student), f"over {LIMIT}" if student.reach is None else str(student.reach))
        for student in students
        if student.short
    ]
    show("Students", columns, rows, numbers=columns[1:])
    others = [_size(student) for student in students if not student.short]
    if every:
        print()
        show("Students called after a timm encoder", columns[:-1], others, numbers=columns[1:])
    else:
        print(f"\n{len(others)} more are called unet-<timm encoder>, such as unet-resnet34.")
        print("To list them: segdistill models --all")
    plugged = sorted(names("student"))
    if plugged:
        print(f"From other packages: {', '.join(plugged)}")
    print(f"""
encoder, in all   millions of weights, for {CHANNELS} channel and {OUTPUTS} outputs
GMAC per Mpx      thousand million multiply-adds per million pixels
sees              how far off the image changes a score: an exact tile's border

Code: unet-tiny is this package's (Apache-2.0); all others have an encoder of
timm (Apache-2.0) and a decoder of segmentation_models.pytorch (MIT). Weights
begin at random; nothing is downloaded.""")


def _size(student: "KnownStudent") -> tuple[str, ...]:
    millions = (f"{number / 1e6:.2f}" for number in (student.encoder_parameters, student.parameters))
    return student.name, *millions, f"{student.gigamacs_per_megapixel:.0f}"
