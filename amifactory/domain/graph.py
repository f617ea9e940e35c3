"""The image graph: who is built on whom, in which order, and what depends on what.

A graph is a mapping from each image to its parent image, ``None`` for one built on a source AMI. As every
image has at most one parent, each function takes time linear in the number of images.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_cycle(parents: Mapping[str, str | None]) -> tuple[str, ...] | None:
    """Returns one cycle, its first image repeated at the end (``node, java, node``), or None.

    It starts at the cycle's alphabetically first image, so the same graph gives the same answer.
    """
    settled: set[str] = set()
    for start in sorted(parents):
        path: dict[str, None] = {}
        image: str | None = start
        while image is not None and image not in settled and image not in path:
            path[image] = None
            image = parents.get(image)
        if image is not None and image in path:
            return _from_first(list(path), image)
        settled.update(path)
    return None


def _from_first(path: list[str], entry: str) -> tuple[str, ...]:
    cycle = path[path.index(entry) :]
    first = cycle.index(min(cycle))
    return (*cycle[first:], *cycle[: first + 1])


def order(parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """Returns every image, each after its parent; images ready at the same time come by name.

    Raises:
        ValueError: The graph has a cycle. Check `find_cycle` first.
    """
    children = _children(parents)
    ready = deque(sorted(image for image, parent in parents.items() if parent not in parents))
    ordered: list[str] = []
    while ready:
        image = ready.popleft()
        ordered.append(image)
        ready.extend(children.get(image, ()))
    if len(ordered) != len(parents):
        raise ValueError(f"cycle: {' -> '.join(find_cycle(parents) or ())}")
    return tuple(ordered)


def descendants(parents: Mapping[str, str | None], image: str) -> tuple[str, ...]:
    """Returns every image built on ``image``, directly or through others, parents first."""
    children = _children(parents)
    found: dict[str, None] = {}
    waiting = deque([image])
    while waiting:
        for child in children.get(waiting.popleft(), ()):
            if child not in found and child != image:
                found[child] = None
                waiting.append(child)
    return tuple(found)


def _children(parents: Mapping[str, str | None]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for image in sorted(parents):
        parent = parents[image]
        if parent is not None:
            children.setdefault(parent, []).append(image)
    return children
