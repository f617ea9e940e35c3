"""Reads an inventory back. As plain JSON: the library's own objects take fifteen times as long."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from packageurl import PackageURL

from amifactory.domain.inventory import (
    ContainerImage,
    Inventory,
    OperatingSystem,
    Package,
    Port,
    Tool,
    User,
)
from amifactory.sbom.identity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

Fields = dict[str, Any]


def read(text: str | bytes) -> Inventory:
    """Returns the inventory in what `amifactory.sbom.write` wrote."""
    document: Fields = json.loads(text)
    components: defaultdict[str, list[Fields]] = defaultdict(list)
    for component in document["components"]:
        components[component["type"]].append(component)
    (system,) = components["operating-system"]
    facts = _properties(document["metadata"]["component"])
    return Inventory(
        os=OperatingSystem(id=system["name"], version=system["version"], name=system["description"]),
        kernel=_properties(system)["kernel"][0],
        packages=tuple(sorted(map(_package, components["library"]))),
        tools=tuple(sorted(map(_tool, components["application"]))),
        container_images=tuple(sorted(map(_container_image, components["container"]))),
        users=tuple(sorted(map(_user, facts["user"]))),
        ports=tuple(sorted(map(_port, facts["port"]))),
        units=tuple(sorted(facts["unit"])),
        ephemeral_ports=_ephemeral_ports(facts),
        problems=tuple(sorted(facts["not-listed"])),
    )


def _properties(component: Fields) -> defaultdict[str, list[str]]:
    """Returns the values of our properties by name."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    for entry in component.get("properties", ()):
        values[entry["name"].removeprefix(PREFIX)].append(entry["value"])
    return values


def _ephemeral_ports(facts: Mapping[str, list[str]]) -> tuple[int, int] | None:
    for text in facts["ephemeral-ports"]:
        first, last = text.split()
        return int(first), int(last)
    return None


def _package(component: Fields) -> Package:
    purl = PackageURL.from_string(component["purl"])
    return Package(
        name=component["name"],
        version=component["version"],
        architecture=purl.qualifiers["arch"],
        manager=purl.type,
    )


def _tool(component: Fields) -> Tool:
    return Tool(name=component["name"], version=component["version"])


def _container_image(component: Fields) -> ContainerImage:
    properties = _properties(component)
    return ContainerImage(
        reference=component["name"],
        digest=component["version"] if "purl" in component else "",
        image_id=properties["image-id"][0],
        size=int(properties["size"][0]),
    )


def _user(text: str) -> User:
    name, uid, shell = text.split(":", 2)
    return User(name=name, uid=int(uid), shell=shell)


def _port(text: str) -> Port:
    protocol, address, port, program = text.split(" ", 3)
    return Port(protocol=protocol, address=address, port=int(port), program=program)
