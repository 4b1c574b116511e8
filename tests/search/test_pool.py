from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprobe.search.pool import Died, Done, Pool

sys.path.insert(0, str(Path(__file__).parent))

from labour import Job

FATES = ("ok", "slow", "leaves", "killed", "aborts", "exits")


def run(
    jobs: list[Job], *, workers: int = 2, max_seconds: float | None = None
) -> list[Done | Died]:
    with Pool("labour:start", "here", workers=workers, max_seconds=max_seconds) as pool:
        for job in jobs:
            pool.add(job)
        return list(pool.outcomes())


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(FATES), max_size=8), st.integers(1, 3))
def test_every_task_ends_exactly_once(fates: list[str], workers: int) -> None:
    jobs = [Job(str(number), fate) for number, fate in enumerate(fates)]
    outcomes = run(jobs, workers=workers)
    assert sorted(outcome.task.name for outcome in outcomes) == [job.name for job in jobs]
    for outcome in outcomes:
        assert isinstance(outcome, Done) == (outcome.task.fate in ("ok", "slow", "leaves"))
        if isinstance(outcome, Done):
            assert outcome.value[:2] == ("here", outcome.task.name)


def test_the_cause_of_death_is_told() -> None:
    jobs = [Job("a", "killed"), Job("b", "aborts"), Job("c", "exits"), Job("d", "hangs")]
    reasons = {o.task.name: o.reason for o in run(jobs, max_seconds=1.0) if isinstance(o, Died)}
    assert reasons == {
        "a": "killed: signal 9, as the system sends where memory runs out",
        "b": "oom: the process ended because an allocation failed",
        "c": "killed: the process ended with status 3: some last words",
        "d": "time: not done after 1 s (--max-seconds)",
    }


def test_a_child_that_cannot_start_costs_its_tasks_alone() -> None:
    with Pool("labour:fails_to_start", "work", workers=1) as pool:
        pool.add(Job("a", "ok"))
        (outcome,) = pool.outcomes()
    assert isinstance(outcome, Died)
    assert outcome.reason.endswith("RuntimeError: no work today")


def test_lower_ranks_come_first_and_affinity_decides_among_equals() -> None:
    jobs = [Job("late", "slow", 2, "x")]
    jobs += [Job(f"{kind}{n}", "slow", 1, kind) for n in range(3) for kind in "xy"]
    outcomes = [outcome for outcome in run(jobs) if isinstance(outcome, Done)]
    assert outcomes[-1].task.name == "late"
    children = {(o.task.affinity, o.value[2]) for o in outcomes if o.task.rank == 1}
    assert len(children) == 2  # each kind stayed with one child


def test_tasks_may_be_added_while_others_run_and_a_child_is_used_again() -> None:
    with Pool("labour:start", "", workers=1) as pool:
        pool.add(Job("0", "ok"))
        done = []
        for outcome in pool.outcomes():
            done.append(outcome)
            if len(done) < 5:
                pool.add(Job(str(len(done)), "ok"))
    assert [outcome.task.name for outcome in done] == list("01234")
    assert len({o.value[2] for o in done if isinstance(o, Done)}) == 1


def test_a_child_that_is_slow_to_end_holds_up_nobody() -> None:
    started = time.monotonic()
    outcomes = run([Job("a", "lingers"), Job("b", "lingers"), Job("c", "ok")], workers=1)
    assert [type(outcome) for outcome in outcomes] == [Done, Done, Done]
    assert time.monotonic() - started < 20


def test_a_child_that_dies_while_it_waits_costs_no_task() -> None:
    with Pool("labour:start", "", workers=1) as pool:
        pool.add(Job("a", "ok"))
        (first,) = pool.outcomes()
        assert isinstance(first, Done)
        os.kill(first.value[2], signal.SIGKILL)
        time.sleep(0.5)
        pool.add(Job("b", "ok"))
        (second,) = pool.outcomes()
    assert isinstance(second, Done)


def test_leaving_the_pool_ends_its_children_at_once() -> None:
    pids = []
    with Pool("labour:start", "", workers=2) as pool:
        for name in "ab":
            pool.add(Job(name, "ok"))
        pids = [outcome.value[2] for outcome in pool.outcomes() if isinstance(outcome, Done)]
        pool.add(Job("c", "hangs"))
        pool._hand_out()
        started = time.monotonic()
    assert time.monotonic() - started < 15
    for pid in set(pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
