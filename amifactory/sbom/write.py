"""Writes an inventory with the CycloneDX library."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from amifactory.domain.references import parse_reference
from amifactory.sbom.identity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.domain.inventory import ContainerImage, Inventory, OperatingSystem, Package, Tool
    from amifactory.sbom.identity import BuildIdentity

_WRITER = "amifactory"


def write(inventory: Inventory, build: BuildIdentity) -> str:
    """Returns the JSON text; its serial number is the AMI id's."""
    subject = Component(
        type=ComponentType.PLATFORM,
        bom_ref=build.ami_id,
        name=build.target.image,
        version=build.ami_id,
        properties=_properties(*_identity(build), *_facts(inventory)),
    )
    writer = Component(
        type=ComponentType.APPLICATION, bom_ref=_WRITER, name=_WRITER, version=version(_WRITER)
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{PREFIX}{build.ami_id}"),
        metadata=BomMetaData(
            timestamp=build.verified_at, component=subject, tools=ToolRepository(components=[writer])
        ),
        components=list(_components(inventory)),
    )
    bom.register_dependency(subject, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _identity(build: BuildIdentity) -> Iterator[tuple[str, str]]:
    yield "image", build.target.image
    yield "architecture", build.target.architecture.value
    yield "ami-id", build.ami_id
    yield "parent", build.parent
    yield "fingerprint", build.fingerprint
    yield "region", build.region


def _facts(inventory: Inventory) -> Iterator[tuple[str, str]]:
    for user in inventory.users:
        yield "user", f"{user.name}:{user.uid}:{user.shell}"
    for port in inventory.ports:
        yield "port", f"{port.protocol} {port.address} {port.port} {port.program}"
    for unit in inventory.units:
        yield "unit", unit
    if inventory.ephemeral_ports:
        yield "ephemeral-ports", "{} {}".format(*inventory.ephemeral_ports)
    for problem in inventory.problems:
        yield "not-listed", problem


def _components(inventory: Inventory) -> Iterator[Component]:
    system = inventory.os
    yield Component(
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref="os",
        name=system.id,
        version=system.version,
        description=system.name,
        properties=_properties(("kernel", inventory.kernel)),
    )
    yield from (_package(package, system) for package in inventory.packages)
    yield from (_tool(tool) for tool in inventory.tools)
    yield from (_container_image(image) for image in inventory.container_images)


def _package(package: Package, system: OperatingSystem) -> Component:
    """Returns it as vulnerability databases name it; rpm's epoch is not in a version there."""
    qualifiers = {"arch": package.architecture, "distro": f"{system.id}-{system.version}".strip("-")}
    found = package.version
    if package.manager == "rpm" and ":" in found:
        qualifiers["epoch"], _, found = found.partition(":")
    purl = PackageURL(package.manager, system.id, package.name, found, qualifiers)
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        name=package.name,
        version=package.version,
        purl=purl,
    )


def _tool(tool: Tool) -> Component:
    purl = PackageURL("generic", None, tool.name, tool.version)
    return Component(
        type=ComponentType.APPLICATION,
        bom_ref=purl.to_string(),
        name=tool.name,
        version=tool.version,
        purl=purl,
    )


def _container_image(image: ContainerImage) -> Component:
    return Component(
        type=ComponentType.CONTAINER,
        bom_ref=image.reference,
        name=image.reference,
        version=image.content,
        purl=_image_url(image),
        properties=_properties(("image-id", image.image_id), ("size", str(image.size))),
    )


def _image_url(image: ContainerImage) -> PackageURL | None:
    """Returns it for an image that a registry has; what was made here has no name that others know."""
    if not image.digest:
        return None
    reference = parse_reference(image.reference)
    qualifiers = {"repository_url": reference.repository, "tag": reference.tag or ""}
    return PackageURL("oci", None, reference.path.rpartition("/")[2], image.digest, qualifiers)


def _properties(*pairs: tuple[str, str]) -> list[Property]:
    return [Property(name=f"{PREFIX}{name}", value=value) for name, value in pairs]
