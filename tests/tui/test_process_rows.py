from hypothesis import given
from hypothesis import strategies as st
from written_traces import sample

from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.sample import GpuProcess, GpuSample, Neighbour
from tui.process_rows import COLUMNS, Entry, Order, arrange, entries, rows_of

ROWS = (
    ProcessRow(pid=1, name="init", user="root", cpu_percent=0.0, resident=10),
    ProcessRow(pid=10, parent=1, name="bash", user="ann", cpu_percent=1.0, resident=30),
    ProcessRow(
        pid=12, parent=10, name="python", user="ann", command="python comfy/main.py", cpu_percent=90.0
    ),
    ProcessRow(pid=11, parent=1, name="sshd", user="root", cpu_percent=None, resident=20),
)


def pids(shown):
    return [entry.row.pid for entry in shown]


def as_entries(rows=ROWS):
    return tuple(Entry(row=row) for row in rows)


def test_sorted_by_each_column_with_the_unknown_last():
    assert pids(arrange(as_entries(), Order())) == [12, 10, 1, 11]
    assert pids(arrange(as_entries(), Order(reverse=True))) == [1, 10, 12, 11]
    assert pids(arrange(as_entries(), Order(column="memory"))) == [10, 11, 1, 12]
    assert pids(arrange(as_entries(), Order(column="pid"))) == [1, 10, 11, 12]
    assert pids(arrange(as_entries(), Order(column="pid", reverse=True))) == [12, 11, 10, 1]
    assert pids(arrange(as_entries(), Order(column="user"))) == [10, 12, 1, 11]


def test_filtered_by_id_user_name_and_command():
    assert pids(arrange(as_entries(), Order(filter="COMFY"))) == [12]
    assert pids(arrange(as_entries(), Order(filter="ann"))) == [12, 10]
    assert pids(arrange(as_entries(), Order(filter="11"))) == [11]
    assert arrange(as_entries(), Order(filter="nothing has this")) == ()


def test_a_tree_keeps_the_parents_of_what_matches():
    shown = arrange(as_entries(), Order(tree=True))
    assert [(entry.row.pid, entry.branch) for entry in shown] == [
        (1, ""),
        (10, "├─"),
        (12, "│ └─"),
        (11, "└─"),
    ]
    assert pids(arrange(as_entries(), Order(tree=True, filter="comfy"))) == [1, 10, 12]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), unique_by=lambda pair: pair[0]),
    st.sampled_from([column.name for column in COLUMNS]),
    st.booleans(),
)
def test_no_process_is_lost_or_doubled(pairs, column, reverse):
    """Even where parents form a ring, which a list taken while numbers are given anew may hold."""
    rows = as_entries(tuple(ProcessRow(pid=pid, parent=parent, name=f"p{pid}") for pid, parent in pairs))
    flat = arrange(rows, Order(column=column, reverse=reverse))
    assert sorted(pids(flat)) == sorted(pid for pid, _ in pairs)
    tree = pids(arrange(rows, Order(column=column, reverse=reverse, tree=True)))
    assert sorted(tree) == sorted(pid for pid, _ in pairs)


def test_a_very_deep_chain_is_drawn():
    rows = tuple(ProcessRow(pid=n, parent=n - 1, name="deep") for n in range(1, 3000))
    assert len(arrange(as_entries(rows), Order(tree=True))) == 2999


def card(*processes, index=0):
    return GpuSample(index=index, processes=tuple(GpuProcess(**each) for each in processes))


def test_memory_of_all_cards_is_added_up():
    gpus = (
        card({"pid": 12, "name": "python", "memory_used": 100}),
        card({"pid": 12, "name": "python", "memory_used": 50}, index=1),
    )
    found = {entry.row.pid: entry.gpu_memory for entry in entries(ROWS, sample(0, gpus=gpus))}
    assert found == {1: None, 10: None, 12: 150, 11: None}


def test_a_process_of_the_host_is_not_taken_for_one_of_the_container():
    gpus = (card({"pid": 11, "name": "comfyui", "memory_used": 100}),)
    found = entries(ROWS, sample(0, gpus=gpus))
    assert [(entry.row.name, entry.gpu_memory) for entry in found if entry.row.pid == 11] == [
        ("sshd", None),
        ("comfyui", 100),
    ]


def test_the_past_knows_the_watched_process_and_its_neighbours():
    then = sample(1, neighbours=(Neighbour(pid=7, name="cc1", cpu_percent=50.0, niceness=0),))
    assert {row.pid: row.cpu_percent for row in rows_of(then)} == {7: 50.0, 4711: 755.0}
