"""What has to hold between the channels, the fleets, the images and the hooks of a factory.

Asked of what the file says, not of the models, so that a mistake elsewhere in it hides nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.config.schema import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from amifactory.config.reader import Reader

FACTORY_HOOKS = Path("hooks/factory")


def check_fleets(reader: Reader, *, root: Path, images: Sequence[str]) -> None:
    """Complains of what is wrong between the blocks of a ``factory.hcl`` that ``reader`` has read.

    Args:
        reader: What the file says; what is wrong is added to its problems.
        root: The factory's folder.
        images: The names of all images, also of broken ones.
    """
    _check_orders(reader)
    _check_soaks(reader)
    _check_approvals(reader, root)
    _check_names(reader, "image", images, "is not an image")
    channels = [channel for _, channel in _given(reader, "channel", "name")]
    _check_names(reader, "channel", channels, "has no channel block")
    _check_groups(reader)
    _check_commands(reader, root)


def _given(reader: Reader, block: str, key: str) -> Iterator[tuple[int, str]]:
    """Yields the number of each block of a kind, and what it gives for a key, if that is a string."""
    for number, given in enumerate(reader.data.get(block, ())):
        if isinstance(given.get(key), str):
            yield number, given[key]


def _check_orders(reader: Reader) -> None:
    names: dict[int, object] = {}
    for number, given in enumerate(reader.data.get("channel", ())):
        order = given.get("order", number + 1)
        if not isinstance(order, int):
            continue
        if order in names:
            which = f"order {order}" if "order" in given else f"order {order}, its place in the file,"
            message = f'{which} is also that of channel "{names[order]}"; each channel has its own'
            reader.complain(message, "channel", number, "order")
        names.setdefault(order, given.get("name"))


def _check_soaks(reader: Reader) -> None:
    """Complains of a first channel that waits for the one before it: it would wait for nothing."""
    channels = reader.data.get("channel", ())
    orders = [given.get("order", place) for place, given in enumerate(channels, start=1)]
    if not orders or not all(isinstance(order, int) for order in orders):
        return
    first = orders.index(min(orders))
    if "soak" in channels[first]:
        message = "no channel comes before this one, so nothing can soak there; leave soak out"
        reader.complain(message, "channel", first, "soak")


def _check_approvals(reader: Reader, root: Path) -> None:
    for number, name in _given(reader, "channel", "approval"):
        problem = None if "/" in name else _unfit(root, str(FACTORY_HOOKS / name))
        if problem:
            reader.complain(f'approval "{name}": {problem}', "channel", number, "approval")


def _check_commands(reader: Reader, root: Path) -> None:
    """Complains of health commands in the factory's folder that cannot be run; others are the machine's."""
    for number, given in enumerate(reader.data.get("fleet", ())):
        command = given.get("health", {}).get("command")
        program = command[0] if isinstance(command, list) and command else None
        if not isinstance(program, str) or "/" not in program or program.startswith("/"):
            continue
        if problem := _unfit(root, program):
            reader.complain(f"command: {problem}", "fleet", number, "health", "command")


def _unfit(root: Path, name: str) -> str | None:
    """Returns why the file at ``name`` cannot be run, and what to do; None when it can."""
    file = root / name
    if not file.is_file():
        beside = file.parent.iterdir() if file.parent.is_dir() else ()
        known = [str(Path(name).parent / other.name) for other in beside if os.access(other, os.X_OK)]
        return f"{name} is not there{did_you_mean(name, known)}"
    return None if os.access(file, os.X_OK) else f"{name} is not executable; run: chmod +x {name}"


def _check_names(reader: Reader, key: str, known: Sequence[str], trouble: str) -> None:
    for number, name in _given(reader, "fleet", key):
        if name not in known:
            reader.complain(f'{key} "{name}" {trouble}{did_you_mean(name, known)}', "fleet", number, key)


def _check_groups(reader: Reader) -> None:
    """Complains of groups that two fleets name: each would undo the other's releases."""
    fleets: dict[str, object] = {}
    for number, group in _given(reader, "fleet", "group"):
        if group in fleets:
            message = f'group "{group}" is also that of fleet "{fleets[group]}"; each fleet has its own'
            reader.complain(message, "fleet", number, "group")
        fleets.setdefault(group, reader.data["fleet"][number].get("name"))
