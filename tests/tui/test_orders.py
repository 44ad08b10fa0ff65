import stat

from tui.orders import KEPT, Order, Orders, State
from tui.prompt_history import MOST, PromptHistory
from tuner.generation import Wish


def order(prompt):
    return Order(model="builtin:tiny", wish=Wish(prompt=prompt))


def filled(*prompts):
    orders = Orders()
    for prompt in prompts:
        orders = orders.add(order(prompt))
    return orders


def prompts(orders):
    return [one.order.wish.prompt for one in orders.placed]


def test_orders_run_one_after_another():
    orders = filled("a", "b").begin()
    assert orders.running.order.wish.prompt == "a"
    assert orders.begin() == orders
    orders = orders.end(State.FINISHED, ("a.png",), 1.0).begin()
    assert orders.running.order.wish.prompt == "b"
    assert orders.get(1).images == ("a.png",)
    orders = orders.end(State.FAILED, message="no")
    assert orders.running is None
    assert orders.begin() == orders


def test_only_what_waits_is_moved_and_the_running_one_is_not_removed():
    orders = filled("a", "b", "c", "d").begin()
    assert prompts(orders.move(4, -1)) == ["a", "b", "d", "c"]
    assert prompts(orders.move(2, 1)) == ["a", "c", "b", "d"]
    assert orders.move(2, -1) == orders
    assert orders.move(4, 1) == orders
    assert orders.move(1, 1) == orders
    assert orders.remove(1) == orders
    assert prompts(orders.remove(3)) == ["a", "b", "d"]
    assert orders.remove(3).add(order("e")).placed[-1].number == 5


def test_the_list_is_bounded_and_keeps_what_is_not_over():
    orders = Orders()
    for number in range(KEPT + 20):
        orders = orders.add(order(str(number))).begin().end(State.FINISHED)
    orders = orders.add(order("next"))
    assert len(orders.placed) == KEPT + 1
    assert prompts(orders)[-1] == "next"


def test_history_is_kept_private_bounded_and_without_doubles(tmp_path):
    path = tmp_path / "state" / "prompts.jsonl"
    history = PromptHistory(path)
    for prompt in ("one", "two\nlines", "one"):
        history.add(prompt)
    assert PromptHistory(path).prompts == ("two\nlines", "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for number in range(MOST + 5):
        history.add(str(number))
    again = PromptHistory(path).prompts
    assert len(again) == MOST
    assert again[-1] == str(MOST + 4)


def test_up_and_down_walk_and_give_the_draft_back(tmp_path):
    history = PromptHistory(tmp_path / "prompts.jsonl")
    assert history.older("draft") is None
    history.add("one")
    history.add("two")
    assert history.older("draft") == "two"
    assert history.older("two") == "one"
    assert history.older("one") is None
    assert history.newer() == "two"
    assert history.newer() == "draft"
    assert history.newer() is None


def test_a_history_that_cannot_be_used_is_no_harm(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'"good"\n{"torn\n42\n\xff\n')
    assert PromptHistory(path).prompts == ("good",)
    folder = tmp_path / "folder"
    folder.mkdir()
    history = PromptHistory(folder)
    history.add("x")
    assert history.prompts == ("x",)
