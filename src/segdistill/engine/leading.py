"""Several processes, one command: the first does it, the others join it in its trainings and in nothing else.

So no command needs to know of processes. What is read, predicted, scored and written is so once; a training
reaches the others whole, its images too. Only a store of tokens, which is read step by step, must lie where all see it.
"""

from collections.abc import Callable

from segdistill.engine.followers import connect, hear, waited_on
from segdistill.engine.launch import join, launch
from segdistill.engine.loop import train_on
from segdistill.errors import SegdistillError


def lead(work: Callable[[], int], *, notice: Callable[[str], None]) -> int:
    """Do some work in the first process, while those that were started beside it take part in its trainings.

    Args:
        work: Calls ``train`` where it likes. It is called in the first process only, and simply called where
            no launcher (torchrun, srun) started several.
        notice: In the other processes: told of their memory.

    Returns:
        What ``work`` returned; 0 in the others.

    Raises:
        ConfigError: See ``launch.join``.
        EnvironmentFault: In another process than the first: its device does not work, or the first has gone.
    """
    here = join()
    if here.world == 1:
        return work()
    connection = connect()
    if here.rank == 0:
        with waited_on(connection):
            return work()
    while (task := hear(connection)) is not None:
        problem, folder, plan = task
        fabric = launch(plan, notice=notice)  # what this raises is this process's own misfortune, and ends it
        try:
            train_on(fabric, problem, folder, plan, notice=notice)
        except SegdistillError:  # raised in all; the first says so, and may begin anew
            continue
    return 0
