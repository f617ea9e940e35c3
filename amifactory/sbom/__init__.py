"""The inventory of a build as a CycloneDX 1.6 document: written for everybody, read back to compare builds.

A package is a ``library``, a tool an ``application``. What CycloneDX has no word for is a property:

====================  ==================================================  ========================
of                    property                                            value
====================  ==================================================  ========================
the build             ``amifactory:{image,architecture,ami-id,parent,``
                      ``fingerprint,region}``                             as in its tags
the build             ``amifactory:user``                                 ``admin:1000:/bin/bash``
the build             ``amifactory:port``                                 ``tcp 0.0.0.0 22 sshd``
the build             ``amifactory:unit``                                 ``docker.service``
the build             ``amifactory:ephemeral-ports``                      ``32768 60999``
the build             ``amifactory:not-listed``                           what, and why
the operating system  ``amifactory:kernel``                               ``6.1.0-28-cloud-amd64``
a container image     ``amifactory:image-id``                             ``sha256:…``
a container image     ``amifactory:size``                                 bytes, unpacked
====================  ==================================================  ========================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sbom.identity import BuildIdentity

if TYPE_CHECKING:
    from amifactory.domain.inventory import Inventory

__all__ = ["BuildIdentity", "from_cyclonedx", "to_cyclonedx"]


def to_cyclonedx(inventory: Inventory, build: BuildIdentity) -> str:
    """Returns the JSON text; the same inventory of the same build at the same time gives the same text."""
    from amifactory.sbom.write import write  # noqa: PLC0415 - the library takes 0.1 s to import

    return write(inventory, build)


def from_cyclonedx(text: str | bytes) -> Inventory:
    """Returns the inventory in what `to_cyclonedx` wrote."""
    from amifactory.sbom.read import read  # noqa: PLC0415 - only to compare

    return read(text)
