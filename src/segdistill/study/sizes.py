"""Which sizes of objects the student and its baseline find, for the report."""

from collections.abc import Mapping

from segdistill.evaluation.by_size import found_by_size, objects_found
from segdistill.report import SizeRow
from segdistill.study.arms import Bench
from segdistill.study.seen import Seen


def size_rows(bench: Bench, seen: Mapping[str, Seen]) -> tuple[SizeRow, ...]:
    """Return the share of labelled test objects that was found, by structure and size.

    Args:
        bench: What all arms share.
        seen: Who segmented, to what it made of the labelled test fields.

    Returns:
        Empty where single objects are not told apart or there are too few.
    """
    samples = bench.prepared.labelled("test")
    pixel_sizes = {sample.image.pixel_size for sample in samples}
    side = next(iter(pixel_sizes)) if len(pixel_sizes) == 1 else None
    rows: list[SizeRow] = []
    for place, structure in enumerate(bench.structures):
        if not structure.instances:
            continue
        objects = {
            who: [
                objects_found(planes[place], sample.planes[place], counts=sample.counts)
                for planes, sample in zip(made.planes, samples, strict=True)
                if sample.known[place] and sample.counts.any()
            ]
            for who, made in seen.items()
        }
        area, unit = (1.0, "px") if side is None else (side**2, "µm²")
        rows += [
            SizeRow(
                structure=structure.name,
                low=each.low * area,
                high=each.high * area,
                unit=unit,
                objects=each.objects,
                found=each.found,
            )
            for each in found_by_size(objects)
        ]
    return tuple(rows)
