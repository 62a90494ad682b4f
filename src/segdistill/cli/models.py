"""`segdistill models`."""

from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.tables import show


def models(*, every: Annotated[bool, Parameter(name="--all", negative="")] = False) -> None:
    """List the students, with their sizes.

    Args:
        every: Also list those that are called after a timm encoder.
    """
    from segdistill.networks.facts import CHANNELS, LIMIT, OUTPUTS, known_students
    from segdistill.plugins import names

    students = known_students()
    columns = ("student", "encoder, M", "in all, M", "GMAC per Mpx", "halo, px")
    rows = [
        (
            student.name,
            f"{student.encoder_parameters / 1e6:.2f}",
            f"{student.parameters / 1e6:.2f}",
            f"{student.gigamacs_per_megapixel:.0f}",
            f"over {LIMIT}" if student.reach is None else str(student.reach),
        )
        for student in students
        if every or student.short
    ]
    show("Students", columns, rows, numbers=columns[1:])
    if not every:
        print(f"\n{len(students) - len(rows)} more are called unet-<timm encoder>, such as unet-resnet34.")
        print("To list them: segdistill models --all")
    plugged = sorted(names("student"))
    if plugged:
        print(f"From other packages: {', '.join(plugged)}")
    print(f"""
encoder, in all   millions of weights, for {CHANNELS} channel and {OUTPUTS} outputs
GMAC per Mpx      thousand million multiply-adds per million pixels
halo              border that makes tiles exact; some see the whole image

Code: unet-tiny is this package's (Apache-2.0), and vit-tiny's decoder; all
others have an encoder of timm (Apache-2.0), unets a decoder of
segmentation_models.pytorch (MIT). Weights begin at random; nothing is
downloaded.""")
