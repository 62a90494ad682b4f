"""`segdistill check`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.tables import show
from segdistill.settings import Check

DEFAULTS = Check()


def check(data: Path, *, config: Annotated[Check, Parameter(name="*")] = DEFAULTS) -> int:
    """Read every image and label, say what would go wrong, all at once, and show it on a page with pictures.

    The exit status is 1 if some files cannot be used.

    Args:
        data: Folder with images/ and, where they exist, labels/ of the same stems; or a CSV manifest.
        config: How to read it, what it must offer, and where the page goes.
    """
    from segdistill.report.check_page import refuse_other_files, write_check
    from segdistill.study.checking import check as look

    refuse_other_files(config.page)
    found = look(data, config, notice=say)
    show(f"{data}: {dict(found.facts)['images']} images", ("what", "found"), list(found.facts[1:]))
    for remark in found.remarks:
        print(remark)
    for each in found.odd[:10]:
        print(f"Look at {each.name}: {'; '.join(each.reasons)}.")
    if len(found.odd) > 10:
        print(f"And at {len(found.odd) - 10} more cases, which the page shows.")
    write_check(config.page, found)
    print(f"Pictures: {config.page}")
    if found.faults:
        print(f"Cannot be used: {len(found.faults)}", *found.faults, sep="\n  ")
    else:
        print("Every file can be used.")
    return int(bool(found.faults))
