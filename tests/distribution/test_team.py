import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import distributed
import pytest

from segdistill.distribution import team as team_module
from segdistill.distribution import team_of
from segdistill.errors import ConfigError, DataError, EnvironmentFault, MissingExtra


def doubled(number):
    return 2 * number


def slowly_doubled(piece):
    folder, number = piece
    with (folder / str(number)).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.3)
    return 2 * number


def failing(number):
    if number == 3:
        raise DataError("Number three is no picture.")
    return number


def here(_):
    return Path.cwd()


def ended(_):
    os._exit(7)


@pytest.fixture
def team(cluster):
    with team_of(1, cluster.scheduler_address) as found:
        yield found


def test_all_pieces_come_back_with_their_results(team):
    assert team.size == 2
    assert sorted(team.as_done(doubled, range(20))) == [(number, 2 * number) for number in range(20)]
    assert list(team.in_order(doubled, range(20))) == [2 * number for number in range(20)]
    assert list(team.as_done(doubled, [])) == list(team.in_order(doubled, [])) == []


def test_pieces_are_taken_as_workers_become_free(team):
    taken = []

    def pieces():
        for number in range(50):
            taken.append(number)
            yield number

    results = team.in_order(doubled, pieces())
    assert next(results) == 0
    assert len(taken) <= 2 * team.size + 1
    results.close()
    assert len(taken) <= 2 * team.size + 1


def test_work_is_done_in_the_folder_that_it_was_asked_from(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with team_of(1, cluster.scheduler_address) as team:
        assert list(team.in_order(here, [0])) == [tmp_path]


def test_what_a_killed_worker_had_is_done_again(team, tmp_path):
    def kill_the_first():
        while not (begun := [int(path.read_text() or 0) for path in tmp_path.iterdir()]) or not begun[0]:
            time.sleep(0.01)
        os.kill(begun[0], signal.SIGKILL)

    assassin = Thread(target=kill_the_first, daemon=True)
    assassin.start()
    results = list(team.in_order(slowly_doubled, [(tmp_path, number) for number in range(8)]))
    assassin.join()
    assert results == [2 * number for number in range(8)]
    by = [(tmp_path / str(number)).read_text().split() for number in range(8)]
    assert max(map(len, by)) >= 2  # it was killed while it worked
    assert all(len(set(each)) == len(each) for each in by)  # and another did that piece


def test_an_error_of_the_work_keeps_its_kind_and_its_words(team):
    with pytest.raises(DataError, match="Number three is no picture"):
        list(team.in_order(failing, range(10)))
    with pytest.raises(DataError, match="Number three is no picture"):
        list(team.as_done(failing, range(10)))
    assert list(team.in_order(doubled, [4])) == [8]  # and the team lives


def test_a_piece_that_ends_every_worker_is_given_up(cluster, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with team_of(1, cluster.scheduler_address) as team, pytest.raises(EnvironmentFault, match="memory ran out"):
        list(team.in_order(ended, [0]))


def test_workers_that_have_all_gone_are_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(team_module, "_SECONDS_FOR_A_WORKER", 30)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as leaving,
        team_of(1, leaving.scheduler_address) as team,
    ):
        results = team.in_order(doubled, range(1000))
        assert next(results) == 0
        monkeypatch.setattr(team_module, "_SECONDS_FOR_A_WORKER", 1)
        monkeypatch.setattr(team_module, "_GLANCE", 0.2)
        leaving.scale(0)
        with pytest.raises(EnvironmentFault, match=r"All workers have gone.*what is finished is kept"):
            list(results)
        with pytest.raises(EnvironmentFault, match="All workers have gone"):
            list(team.as_done(doubled, range(3)))


def test_nobody_at_the_address(monkeypatch):
    monkeypatch.setattr(team_module, "_SECONDS_TO_ANSWER", 0.5)
    with pytest.raises(EnvironmentFault, match="does not answer"), team_of(1, "tcp://127.0.0.1:9"):
        pass


def test_workers_of_several_threads_are_refused():
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as several,
        pytest.raises(ConfigError, match=r"with 2 threads.*--nthreads 1"),
        team_of(1, several.scheduler_address),
    ):
        pass


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    monkeypatch.setattr(team_module, "_SECONDS_FOR_A_WORKER", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as none,
        pytest.raises(EnvironmentFault, match="got no worker"),
        team_of(1, none.scheduler_address),
    ):
        pass


def test_workers_of_another_version_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(team_module.segdistill, "__version__", "99.0")
    with (
        pytest.raises(EnvironmentFault, match=r"has segdistill .*, and who asks it segdistill 99\.0"),
        team_of(1, cluster.scheduler_address),
    ):
        pass


def test_workers_that_come_later_get_work(tmp_path):
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as growing,
        team_of(1, growing.scheduler_address) as team,
    ):
        results = team.in_order(slowly_doubled, [(tmp_path, number) for number in range(400)])
        assert next(results) == 0
        growing.scale(2)
        for _ in results:
            if len({line for path in tmp_path.iterdir() for line in path.read_text().split()}) == 2:
                break
        else:
            pytest.fail("The second worker did nothing.")
        results.close()


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"segdistill\[distributed\]"), team_of(2):
        pass
