"""Runs steps of a graph in parallel: each the moment its own parent is done."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

LISTEN_SECONDS = 0.2
"""How often the main thread looks up. Python runs signal handlers in it alone, and the kernel may hand a
signal to another thread, which does not wake it."""

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")


def run_graph(
    parents: Mapping[Key, Key | None],
    work: Callable[[Key, Value | None], Value],
    *,
    jobs: int,
) -> dict[Key, Value]:
    """Calls ``work`` for every key, at most ``jobs`` at a time, parents before their children.

    Args:
        parents: Each key's parent; None, or a parent that is not a key itself, means none.
        work: Gets a key and its parent's value; it must not raise, an exception ends the run.
        jobs: How many keys are worked on at once.

    Returns:
        Each key's value, in the order they were done.
    """
    waiting = dict(parents)
    running: dict[Future[Value], Key] = {}
    done: dict[Key, Value] = {}
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="build") as pool:
        while waiting or running:
            for key in [key for key, parent in waiting.items() if parent in done or parent not in parents]:
                parent = waiting.pop(key)
                value = done.get(parent) if parent is not None else None
                running[pool.submit(work, key, value)] = key
            finished, _ = wait(running, timeout=LISTEN_SECONDS, return_when=FIRST_COMPLETED)
            for future in finished:
                done[running.pop(future)] = future.result()
    return done
