"""`segdistill teachers`."""

from segdistill.cli.tables import show


def teachers() -> None:
    """List the teachers, with their licences, and how to get their weights."""
    from segdistill.teachers.catalogue import PROMPTINGS, known_teachers

    every = known_teachers()
    show(
        "Teachers", ("teacher", "what it is", "labels it saw"), [(each.name, each.what, each.labels) for each in every]
    )
    rows = [(each.name, each.channels, str(each.size or "any"), each.licence) for each in every]
    print()
    show("What they take", ("teacher", "channels", "px", "licence"), rows, numbers=("px",))
    print("\nWeights that are not in this package; nothing is downloaded without being asked for:")
    for each in every:
        if each.weights:
            print(f"  {each.weights}    # {each.megabytes} MB")
    print("then name the folder: --teacher sam-vit-b --teacher-weights weights/sam-vit-b")
    print("\nHow a SAM is asked (--prompting), grid unless it was tuned:")
    for prompting, words in PROMPTINGS.items():
        print(f"  {prompting:<6} {words}")
