"""The graph is worked through in parallel, and never in the wrong order."""

from __future__ import annotations

import signal
import threading

from hypothesis import given
from hypothesis import strategies as st

from amifactory.operations.schedule import run_graph


@st.composite
def trees(draw: st.DrawFn) -> dict[int, int | None]:
    size = draw(st.integers(0, 25))
    return {node: draw(st.none() | st.integers(0, node - 1)) if node else None for node in range(size)}


@given(trees(), st.integers(1, 4))
def test_every_node_is_worked_on_once_and_after_its_parent(parents: dict[int, int | None], jobs: int) -> None:
    began: list[int] = []
    running = 0
    most = 0
    lock = threading.Lock()

    def work(key: int, parent: str | None) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            began.append(key)
        above = parents[key]
        assert parent == (None if above is None else f"done {above}")
        with lock:
            running -= 1
        return f"done {key}"

    values = run_graph(parents, work, jobs=jobs)
    assert sorted(began) == sorted(parents)
    assert values == {key: f"done {key}" for key in parents}
    assert most <= jobs


def test_siblings_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def work(key: str, parent: str | None) -> str:
        if key != "base":
            meeting.wait()
        return key

    run_graph({"base": None, "node": "base", "java": "base", "tools": "base"}, work, jobs=3)


def test_a_child_does_not_wait_for_its_parents_sibling() -> None:
    child_began = threading.Event()

    def work(key: str, parent: str | None) -> str:
        if key == "slow":
            assert child_began.wait(timeout=10)
        if key == "child":
            child_began.set()
        return key

    run_graph({"slow": None, "quick": None, "child": "quick"}, work, jobs=2)


def test_a_parent_outside_the_graph_is_none() -> None:
    def work(key: str, parent: str | None) -> str:
        return f"{key} on {parent}"

    assert run_graph({"node": "base"}, work, jobs=1) == {"node": "node on None"}


def test_a_signal_that_another_thread_was_given_is_heard_at_once() -> None:
    """Python's documentation, signal, "Signals and threads": handlers run in the main thread."""
    heard = threading.Event()

    def work(key: str, parent: bool | None) -> bool:
        assert not heard.wait(timeout=0.1), "the main thread waits by now"
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return heard.wait(timeout=10)

    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    try:
        assert run_graph({"node": None}, work, jobs=1) == {"node": True}
    finally:
        signal.signal(signal.SIGUSR1, before)
