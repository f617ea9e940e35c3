"""What the verified instance has, as lists to read and to filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.report import words

if TYPE_CHECKING:
    from amifactory.domain.inventory import Inventory


@dataclass(frozen=True, kw_only=True)
class InventoryList:
    """Things of one kind; the first cell of a row names the thing.

    Attributes:
        headers: Of the columns; none for a long list of short things, which is set in columns of its own.
        is_open: Shown before anybody asks for it.
    """

    name: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_open: bool = True

    @property
    def count(self) -> str:
        """Returns how many there are."""
        return f"{len(self.rows):,}"


def inventory_lists(inventory: Inventory) -> tuple[InventoryList, ...]:
    """Returns what there is of each kind, the short lists first."""
    lists = (
        InventoryList(
            name="System",
            headers=("What", "Version"),
            rows=((inventory.os.name, inventory.os.version), ("kernel", inventory.kernel)),
        ),
        InventoryList(
            name="Tools",
            headers=("Name", "Version"),
            rows=tuple((tool.name, tool.version) for tool in inventory.tools),
        ),
        InventoryList(
            name="Container images",
            headers=("Reference", "Digest", "Size"),
            rows=tuple(
                (image.reference, image.content, words.size(image.size))
                for image in inventory.container_images
            ),
        ),
        InventoryList(
            name="Listening ports",
            headers=("Port", "Address", "Program"),
            rows=tuple(
                (f"{port.port}/{port.protocol}", port.address, port.program) for port in inventory.ports
            ),
        ),
        InventoryList(
            name="Users",
            headers=("Name", "Uid", "Shell"),
            rows=tuple((user.name, str(user.uid), user.shell) for user in inventory.users),
            is_open=False,
        ),
        InventoryList(
            name="Enabled units",
            headers=(),
            rows=tuple((unit,) for unit in inventory.units),
            is_open=False,
        ),
        InventoryList(
            name="Packages",
            headers=(),
            rows=tuple((package.name, package.version) for package in inventory.packages),
            is_open=False,
        ),
        InventoryList(
            name="Could not be listed", headers=(), rows=tuple((problem,) for problem in inventory.problems)
        ),
    )
    return tuple(found for found in lists if found.rows)
