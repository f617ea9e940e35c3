"""An inventory as CycloneDX 1.6: valid, the same each time, and all of it comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.inventory import (
    ContainerImage,
    Inventory,
    OperatingSystem,
    Package,
    Port,
    Tool,
    User,
)
from amifactory.domain.model import AmiId, Architecture, Fingerprint, Target
from amifactory.sbom import BuildIdentity, from_cyclonedx, to_cyclonedx

if TYPE_CHECKING:
    from cyclonedx.validation.json import JsonStrictValidator

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
BUILD = BuildIdentity(
    target=Target(image="node", architecture=Architecture.X86_64),
    ami_id=AmiId("ami-1"),
    parent=AmiId("ami-0"),
    fingerprint=Fingerprint("ab" * 32),
    region="eu-central-1",
    verified_at=NOW,
)
DEBIAN = OperatingSystem(id="debian", version="12", name="Debian GNU/Linux 12 (bookworm)")
AMAZON = OperatingSystem(id="amzn", version="2023", name="Amazon Linux 2023")
DIGEST = f"sha256:{'1' * 64}"
IMAGE_ID = f"sha256:{'2' * 64}"

NAMES = st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9+._-]{0,8}\Z")
VERSIONS = st.from_regex(r"\A([0-9]:)?[0-9][a-zA-Z0-9+.~^-]{0,8}\Z")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
ARCHITECTURES = st.sampled_from(["amd64", "all", "x86_64", "noarch"])
REFERENCES = st.sampled_from(["alpine:3.20", f"alpine@{DIGEST}", "registry.example.com:5000/ci/node:22-slim"])


def several(things: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.frozensets(things, max_size=4).map(lambda found: tuple(sorted(found)))


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    manager = draw(st.sampled_from(["deb", "rpm"]))
    images = draw(st.lists(REFERENCES, unique=True).map(sorted))
    return Inventory(
        os=OperatingSystem(id=draw(NAMES).lower(), version=draw(st.just("") | VERSIONS), name=draw(WORDS)),
        kernel=draw(VERSIONS),
        packages=draw(
            several(
                st.builds(
                    Package,
                    name=NAMES,
                    version=VERSIONS,
                    architecture=ARCHITECTURES,
                    manager=st.just(manager),
                )
            )
        ),
        tools=draw(several(st.builds(Tool, name=NAMES, version=VERSIONS))),
        container_images=tuple(
            ContainerImage(
                reference=reference,
                digest=draw(st.sampled_from(["", DIGEST])),
                image_id=IMAGE_ID,
                size=draw(st.integers(0, 10**10)),
            )
            for reference in images
        ),
        users=draw(
            several(st.builds(User, name=NAMES, uid=st.integers(0, 65535), shell=st.just("") | WORDS))
        ),
        ports=draw(
            several(
                st.builds(
                    Port,
                    protocol=st.sampled_from(["tcp", "udp"]),
                    address=st.sampled_from(["0.0.0.0", "::", "*", "%eth0"]),  # noqa: S104
                    port=st.integers(1, 65535),
                    program=st.just("") | WORDS,
                )
            )
        ),
        units=draw(several(WORDS)),
        ephemeral_ports=draw(st.none() | st.just((32768, 60999))),
        problems=draw(several(WORDS)),
    )


def document(inventory: Inventory, build: BuildIdentity = BUILD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_cyclonedx(inventory, build))
    return found


def components(inventory: Inventory, kind: str) -> list[dict[str, Any]]:
    return [component for component in document(inventory)["components"] if component["type"] == kind]


def package(manager: str, name: str, version: str, architecture: str) -> Package:
    return Package(name=name, version=version, architecture=architecture, manager=manager)


@pytest.fixture(scope="module")
def validator() -> JsonStrictValidator:
    """Returns what knows the schema: importing and making one takes long."""
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    return JsonStrictValidator(SchemaVersion.V1_6)


@given(inventory=inventories())
def test_everything_comes_back_from_a_document_that_is_valid(
    validator: JsonStrictValidator, inventory: Inventory
) -> None:
    text = to_cyclonedx(inventory, BUILD)
    assert validator.validate_str(text) is None
    assert from_cyclonedx(text) == inventory


def test_the_validator_refuses_what_is_not_cyclonedx(validator: JsonStrictValidator) -> None:
    """Otherwise the test above would say nothing."""
    broken = document(Inventory(os=DEBIAN, kernel="6.1"))
    broken["components"][0]["type"] = "amifactory"
    assert validator.validate_str(json.dumps(broken)) is not None


def test_order_of_what_is_found_makes_no_difference() -> None:
    packages = (package("deb", "curl", "7.88.1", "amd64"), package("deb", "adduser", "3.134", "all"))
    inventory = Inventory(os=DEBIAN, kernel="6.1", packages=packages, units=("b.service", "a.service"))
    turned = replace(inventory, packages=packages[::-1], units=inventory.units[::-1])
    assert to_cyclonedx(inventory, BUILD) == to_cyclonedx(turned, BUILD)


def test_document_says_which_build_it_is_of() -> None:
    found = document(Inventory(os=DEBIAN, kernel="6.1"))
    subject = found["metadata"]["component"]
    assert (subject["type"], subject["name"], subject["version"]) == ("platform", "node", "ami-1")
    assert {entry["name"]: entry["value"] for entry in subject["properties"]} == {
        "amifactory:image": "node",
        "amifactory:architecture": "x86_64",
        "amifactory:ami-id": "ami-1",
        "amifactory:parent": "ami-0",
        "amifactory:fingerprint": "ab" * 32,
        "amifactory:region": "eu-central-1",
    }
    assert found["metadata"]["timestamp"] == "2026-01-15T12:00:00+00:00"
    assert [tool["name"] for tool in found["metadata"]["tools"]["components"]] == ["amifactory"]


def test_serial_number_is_the_builds_whenever_it_is_verified() -> None:
    inventory = Inventory(os=DEBIAN, kernel="6.1")
    first = document(inventory)
    again = document(inventory, replace(BUILD, verified_at=NOW + timedelta(days=1)))
    other = document(inventory, replace(BUILD, ami_id=AmiId("ami-2")))
    assert first["serialNumber"] == again["serialNumber"] != other["serialNumber"]


def test_the_build_depends_on_all_that_is_in_it() -> None:
    inventory = Inventory(os=DEBIAN, kernel="6.1", packages=(package("deb", "curl", "7.88.1", "amd64"),))
    dependencies = {entry["ref"]: entry.get("dependsOn") for entry in document(inventory)["dependencies"]}
    assert dependencies["ami-1"] == ["os", "pkg:deb/debian/curl@7.88.1?arch=amd64&distro=debian-12"]


@pytest.mark.parametrize(
    ("system", "found", "purl"),
    [
        (
            DEBIAN,
            package("deb", "libstdc++6", "12.2.0-14+deb12u1", "amd64"),
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        ),
        (
            OperatingSystem(id="ubuntu", version="24.04", name="Ubuntu 24.04.1 LTS"),
            package("deb", "vim", "2:9.1.0016-1ubuntu7", "amd64"),
            "pkg:deb/ubuntu/vim@2:9.1.0016-1ubuntu7?arch=amd64&distro=ubuntu-24.04",
        ),
        (
            AMAZON,
            package("rpm", "openssl", "1:3.0.8-1.amzn2023.0.1", "x86_64"),
            "pkg:rpm/amzn/openssl@3.0.8-1.amzn2023.0.1?arch=x86_64&distro=amzn-2023&epoch=1",
        ),
    ],
)
def test_packages_have_the_names_that_vulnerability_databases_know(
    system: OperatingSystem, found: Package, purl: str
) -> None:
    (component,) = components(Inventory(os=system, kernel="6.1", packages=(found,)), "library")
    assert component["purl"] == purl
    assert component["version"] == found.version


def test_container_images_of_a_registry_have_a_name_that_others_know() -> None:
    pulled = ContainerImage(reference="alpine:3.20", digest=DIGEST, image_id=IMAGE_ID, size=7)
    made_here = ContainerImage(reference="local:1", digest="", image_id=IMAGE_ID, size=7)
    inventory = Inventory(os=DEBIAN, kernel="6.1", container_images=(pulled, made_here))
    first, second = components(inventory, "container")
    assert first["purl"] == (f"pkg:oci/alpine@{DIGEST}?repository_url=docker.io/library/alpine&tag=3.20")
    assert (first["version"], second["version"]) == (DIGEST, IMAGE_ID)
    assert "purl" not in second


def test_the_library_is_not_imported_before_a_document_is_written() -> None:
    code = "import sys, amifactory.sbom; print({'cyclonedx', 'packageurl'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
