"""Leases: what is promised is promised once."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.leases import MOST_LEASES, MOST_OF_ONE_PROCESS, LeaseBook, LeaseRefused

GIB = 2**30


class Machine:
    """A device of which processes use some."""

    def __init__(self, total: int = 10 * GIB) -> None:
        self.total = total
        self.used: dict[int, int] = {}
        self.born: dict[int, float] = dict.fromkeys(range(1, 100), 1.0)
        self.now = 0.0
        self.book = LeaseBook(
            lambda _device, pid: self.used.get(pid, 0), lambda pid: self.born.get(pid), lambda: self.now
        )

    def free(self) -> int:
        return self.total - sum(self.used.values())

    def give(self, wanted: int, pid: int | None, seconds: float = 100.0):
        return self.book.give("cuda:0", [wanted], self.free, pid, seconds)[0]


def test_two_programs_do_not_get_the_same_memory():
    machine = Machine()
    assert machine.give(6 * GIB, 1)
    lease, place, can_have = machine.book.give("cuda:0", [6 * GIB, 4 * GIB], machine.free, 2, 100.0)
    assert lease is not None
    assert (place, can_have, lease.bytes) == (1, 4 * GIB, 4 * GIB)
    assert machine.give(1, 3) is None


def test_what_is_used_already_is_not_set_aside_twice():
    machine = Machine()
    assert machine.give(6 * GIB, 1)
    machine.used[1] = 5 * GIB
    assert machine.book.set_aside("cuda:0") == GIB
    assert machine.give(4 * GIB, 2)
    assert machine.give(1, 3) is None


def test_a_program_that_has_loaded_its_model_asks_for_the_whole_of_it():
    machine = Machine()
    machine.used[1] = 8 * GIB
    assert machine.give(10 * GIB, 1)
    assert machine.give(1, 2) is None


def test_devices_are_counted_apart():
    machine = Machine()
    assert machine.give(10 * GIB, 1)
    assert machine.book.give("cuda:1", [10 * GIB], machine.free, 2, 100.0)[0]


@pytest.mark.parametrize("how", ["given back", "over", "process gone", "another process of that number"])
def test_the_end_of_a_lease(how):
    machine = Machine()
    lease = machine.give(10 * GIB, 1)
    assert machine.give(GIB, 2) is None
    match how:
        case "given back":
            assert machine.book.give_back(lease.id, 1)
        case "over":
            machine.now = 100.0
        case "process gone":
            del machine.born[1]
        case _:
            machine.born[1] = 2.0
    assert machine.give(10 * GIB, 2)
    assert machine.book.renew(lease.id, 10.0, 1) is None


def test_a_renewed_one_lasts_from_then_on():
    machine = Machine()
    lease = machine.give(10 * GIB, 1)
    machine.now = 90.0
    assert machine.book.renew(lease.id, 100.0, 1).expires == 190.0
    machine.now = 180.0
    assert machine.give(GIB, 2) is None


def test_only_its_own_process_ends_or_renews_it():
    machine = Machine()
    lease = machine.give(10 * GIB, 1)
    assert not machine.book.give_back(lease.id, 2)
    assert not machine.book.give_back(lease.id, None)
    assert machine.book.renew(lease.id, 10.0, 2) is None
    assert machine.book.all() == (lease,)


def test_there_is_an_end_to_leases():
    machine = Machine()
    for _ in range(MOST_OF_ONE_PROCESS):
        assert machine.give(1, 1)
    with pytest.raises(LeaseRefused, match="This program"):
        machine.give(1, 1)
    for number in range(MOST_LEASES - MOST_OF_ONE_PROCESS):
        assert machine.give(1, 2 + number)
    with pytest.raises(LeaseRefused, match="There are"):
        machine.give(1, 99)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(1, 5), st.integers(1, 12 * GIB)),
        st.tuples(st.just("use"), st.integers(1, 5), st.floats(0.0, 1.0)),
        st.tuples(st.just("back"), st.integers(1, 5), st.integers(0, 7)),
        st.tuples(st.just("die"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.floats(0.0, 120.0)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_everybody_can_use_what_was_promised(steps):
    """As long as nobody uses more than was promised, there is room for all that is promised still."""
    machine = Machine()
    births = count(2)
    for what, pid, value in steps:
        held = [lease for lease in machine.book.all() if lease.pid == pid]
        promised = sum(lease.bytes for lease in held)
        if what == "give":
            try:
                machine.give(value, pid)
            except LeaseRefused:
                continue
        elif what == "use":
            machine.used[pid] = int(value * promised)
        elif what == "back" and held:
            machine.book.give_back(held[value % len(held)].id, pid)
        elif what == "die":
            machine.used.pop(pid, None)
            machine.born[pid] = float(next(births))
        elif what == "wait":
            machine.now += value
        assert machine.book.set_aside("cuda:0") <= machine.free() or any(
            machine.used.get(each, 0) > sum(lease.bytes for lease in machine.book.all() if lease.pid == each)
            for each in range(1, 6)
        )


def test_many_at_the_same_moment():
    machine = Machine(total=10 * GIB)
    got = []
    gate = threading.Barrier(20)

    def ask(pid: int) -> None:
        gate.wait()
        if lease := machine.give(3 * GIB, pid):
            got.append(lease)

    threads = [threading.Thread(target=ask, args=(pid,)) for pid in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3
