"""What is said to have changed between two builds, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amifactory.domain.comparison import BuildFacts, Change, ChangeKind, Comparison, Measurement, compare
from amifactory.domain.inventory import (
    ContainerImage,
    Inventory,
    OperatingSystem,
    Package,
    Port,
    Tool,
    User,
)
from amifactory.domain.model import AmiId, Architecture, Build, Recipe, Target, Verdict

DEBIAN = OperatingSystem(id="debian", version="12", name="Debian GNU/Linux 12 (bookworm)")
INVENTORY = Inventory(os=DEBIAN, kernel="6.1.0-28-cloud-amd64", ephemeral_ports=(32768, 60999))


def build(ami_id: str, recipe: Recipe, *, image: str = "node") -> Build:
    return Build(
        target=Target(image=image, architecture=Architecture.X86_64),
        ami_id=AmiId(ami_id),
        name=ami_id,
        region="eu-central-1",
        fingerprint=recipe.fingerprint,
        parent=AmiId("ami-base"),
        verdict=Verdict.VERIFIED,
        created_at=datetime(2026, 1, 15, 12, tzinfo=UTC),
    )


def recipe(image: str = "node", *, parent: str, **files: str) -> Recipe:
    return Recipe(
        architecture=Architecture.X86_64,
        files=files,
        variables={"image_name": image},
        prepull={},
        parent=parent,
    )


BASE = recipe("base", parent="ami-source", clean_up="1", install_docker="1")
NODE = recipe(parent=BASE.fingerprint, clean_up="1", install_node="1")


def facts(
    inventory: Inventory = INVENTORY, *recipes: Recipe, image: str = "node", **changes: object
) -> BuildFacts:
    made = recipes or (NODE, BASE)
    plain = BuildFacts(
        build=build(f"ami-{made[0].fingerprint[:8]}", made[0], image=image),
        inventory=inventory,
        recipes=made,
        tests={},
        cold_start={},
        disk_used=None,
        instance_type="t3.large",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def package(name: str, version: str, *, architecture: str = "amd64", manager: str = "deb") -> Package:
    return Package(name=name, version=version, architecture=architecture, manager=manager)


def compared(before: Inventory, after: Inventory) -> Comparison:
    return compare(facts(before), facts(after))


def packages(before: list[Package], after: list[Package]) -> list[tuple[str, str, str | None, str | None]]:
    found = compared(
        replace(INVENTORY, packages=tuple(before)), replace(INVENTORY, packages=tuple(after))
    ).packages
    return [(change.name, change.kind.value, change.before, change.after) for change in found]


def test_packages_go_up_down_come_and_go() -> None:
    before = [package("curl", "7.88.1-10+deb12u9"), package("git", "2.40"), package("nano", "7.2")]
    after = [package("curl", "7.88.1-10+deb12u10"), package("git", "2.39"), package("vim", "9.0")]
    assert packages([*before, package("jq", "1.6")], [*after, package("jq", "1.6")]) == [
        ("curl", "up", "7.88.1-10+deb12u9", "7.88.1-10+deb12u10"),
        ("git", "down", "2.40", "2.39"),
        ("nano", "gone", "7.2", None),
        ("vim", "new", None, "9.0"),
    ]


def test_rpms_are_ordered_by_rpms_rules() -> None:
    """Debian's say the opposite: they compare the text before a number first."""
    before, after = (
        package("bash", version, architecture="x86_64", manager="rpm") for version in ("5.2.a-1", "5.2.15-1")
    )
    assert packages([before], [after]) == [("bash", "up", "5.2.a-1", "5.2.15-1")]
    assert packages([after], [before])[0][1] == "down"


def test_package_that_only_spells_its_version_differently_is_neither_up_nor_down() -> None:
    assert packages([package("a", "1.0")], [package("a", "1.00")]) == [("a", "changed", "1.0", "1.00")]


def test_package_of_several_architectures_is_named_with_each() -> None:
    before = [package("libc6", "2.36"), package("libc6", "2.36", architecture="i386")]
    after = [package("libc6", "2.37"), package("libc6", "2.36", architecture="i386")]
    assert packages(before, after) == [("libc6:amd64", "up", "2.36", "2.37")]


def test_package_that_is_there_in_several_versions_changes_by_those_that_differ() -> None:
    before = [package("kernel", version, manager="rpm") for version in ("6.1.9-1", "6.1.10-1")]
    after = [package("kernel", version, manager="rpm") for version in ("6.1.10-1", "6.1.11-1", "6.1.12-1")]
    assert packages(before, after) == [
        ("kernel", "up", "6.1.9-1", "6.1.11-1"),
        ("kernel", "new", None, "6.1.12-1"),
    ]


def test_packages_of_another_kind_of_distribution_are_not_ordered() -> None:
    before, after = package("bash", "5.2"), package("bash", "5.3", manager="rpm")
    assert packages([before], [after]) == [("bash", "changed", "5.2", "5.3")]


def test_tools_container_images_and_system_are_compared() -> None:
    image = ContainerImage(reference="alpine:3.20", digest="sha256:1", image_id="sha256:2", size=7)
    before = replace(INVENTORY, tools=(Tool(name="node", version="22.9.0"),), container_images=(image,))
    after = replace(
        INVENTORY,
        kernel="6.1.0-29-cloud-amd64",
        tools=(Tool(name="node", version="22.11.0"),),
        container_images=(replace(image, digest="sha256:3"),),
    )
    found = compared(before, after)
    assert found.tools == (Change(name="node", kind=ChangeKind.UP, before="22.9.0", after="22.11.0"),)
    assert found.container_images == (
        Change(name="alpine:3.20", kind=ChangeKind.CHANGED, before="sha256:1", after="sha256:3"),
    )
    assert found.system == (
        Change(
            name="kernel",
            kind=ChangeKind.CHANGED,
            before="6.1.0-28-cloud-amd64",
            after="6.1.0-29-cloud-amd64",
        ),
    )


def test_container_image_with_the_same_digest_is_the_same() -> None:
    """Docker's newer image store gives the same image another id and another size."""
    image = ContainerImage(reference="alpine:3.20", digest="sha256:1", image_id="sha256:2", size=7)
    other = replace(image, image_id="sha256:1", size=5)
    found = compared(
        replace(INVENTORY, container_images=(image,)), replace(INVENTORY, container_images=(other,))
    )
    assert found.container_images == ()


def test_users_and_units_are_compared() -> None:
    admin = User(name="admin", uid=1000, shell="/bin/bash")  # noqa: S604 - a login shell
    before = replace(INVENTORY, users=(admin,), units=("cron.service", "ssh.service"))
    after = replace(INVENTORY, users=(replace(admin, uid=1001),), units=("ssh.service",))
    found = compared(before, after)
    assert found.users == (
        Change(
            name="admin", kind=ChangeKind.CHANGED, before="uid 1000, /bin/bash", after="uid 1001, /bin/bash"
        ),
    )
    assert found.units == (Change(name="cron.service", kind=ChangeKind.GONE, before="enabled", after=None),)


def ports(before: list[Port], after: list[Port]) -> list[tuple[str, str, str | None, str | None]]:
    found = compared(replace(INVENTORY, ports=tuple(before)), replace(INVENTORY, ports=tuple(after))).ports
    return [(change.name, change.kind.value, change.before, change.after) for change in found]


def port(address: str, number: int, program: str) -> Port:
    return Port(protocol="tcp", address=address, port=number, program=program)


def test_ports_are_compared_by_who_listens() -> None:
    assert ports([port("::", 22, "sshd")], [port("::", 22, "dropbear"), port("0.0.0.0", 80, "")]) == [  # noqa: S104
        ("tcp 0.0.0.0:80", "new", None, "unknown program"),
        ("tcp [::]:22", "changed", "sshd", "dropbear"),
    ]


def test_port_the_kernel_chose_may_be_another_on_each_boot() -> None:
    before, after = port("127.0.0.1", 34567, "containerd"), port("127.0.0.1", 45678, "containerd")
    assert ports([before], [after]) == []
    assert ports([], [after]) == [("tcp 127.0.0.1:ephemeral", "new", None, "containerd")]
    assert ports([port("127.0.0.1", 8080, "x")], [port("127.0.0.1", 8081, "x")]) != []


def test_spec_says_which_tests_end_differently_are_new_or_gone() -> None:
    before = facts(tests={"a": "passed", "b": "failed", "c": "passed", "d": "passed", "gone": "skipped"})
    after = facts(tests={"a": "failed", "b": "passed", "c": "skipped", "d": "passed", "new": "error"})
    assert [(change.name, change.before, change.after) for change in compare(before, after).tests] == [
        ("a", "passed", "failed"),
        ("b", "failed", "passed"),
        ("c", "passed", "skipped"),
        ("gone", "skipped", None),
        ("new", None, "error"),
    ]


def test_spec_that_did_not_run_is_not_compared() -> None:
    assert compare(facts(tests={"a": "passed"}), facts()).tests == ()


def recipe_changes(before: BuildFacts, after: BuildFacts) -> list[str]:
    return list(compare(before, after).recipe)


def test_recipes_differ_in_files_settings_and_prepulled_images() -> None:
    now = replace(
        NODE,
        files={**NODE.files, "install_node": "2"},
        variables={**NODE.variables, "offline": True},
        prepull={"alpine:3.20": "sha256:1"},
    )
    assert recipe_changes(facts(INVENTORY, NODE, BASE), facts(INVENTORY, now, BASE)) == [
        "recipe changed: install_node",
        "setting changed: offline",
        "prepull alpine:3.20 added",
    ]


def test_recipes_of_parents_are_told_apart_and_shared_files_said_once() -> None:
    base = recipe("base", parent="ami-newer", clean_up="2", install_docker="2")
    node = recipe(parent=base.fingerprint, clean_up="2", install_node="1")
    assert recipe_changes(facts(INVENTORY, NODE, BASE), facts(INVENTORY, node, base)) == [
        "recipe changed: clean_up",
        "base: recipe changed: install_docker",
        "source AMI ami-newer, not ami-source",
    ]


@pytest.mark.parametrize("known", [(NODE,), (NODE, recipe("other", parent="ami-source"))])
def test_parent_that_is_another_or_unknown_is_said_to_have_changed(known: tuple[Recipe, ...]) -> None:
    node = recipe(parent="another fingerprint", clean_up="1", install_node="1")
    now = recipe("base", parent="ami-source")
    assert recipe_changes(facts(INVENTORY, *known), facts(INVENTORY, node, now)) == ["parent changed"]


def test_recipe_that_is_not_kept_has_changed_somehow() -> None:
    node = recipe(parent=BASE.fingerprint, install_node="2")
    assert recipe_changes(replace(facts(), recipes=()), facts(INVENTORY, node, BASE)) == ["recipe changed"]


def test_same_fingerprint_is_the_same_recipe() -> None:
    assert recipe_changes(replace(facts(), recipes=()), facts()) == []


def test_recipes_of_different_images_are_not_compared() -> None:
    node = recipe(parent=BASE.fingerprint, install_node="2")
    assert recipe_changes(facts(INVENTORY, BASE, image="base"), facts(INVENTORY, node, BASE)) == []


def test_measurements_of_both_are_side_by_side() -> None:
    before = facts(cold_start={"ready": 20.0, "first run alpine:3.20": 1.0}, disk_used=4e9)
    after = facts(cold_start={"ready": 25.0, "first run docker:27-cli": 2.0}, disk_used=None)
    found = compare(before, after)
    assert found.cold_start == (
        Measurement(name="ready", before=20.0, after=25.0),
        Measurement(name="first run docker:27-cli", before=None, after=2.0),
        Measurement(name="first run alpine:3.20", before=1.0, after=None),
    )
    assert [measured.percent for measured in found.cold_start] == [25.0, None, None]
    assert (found.disk_used.before, found.disk_used.after) == (4e9, None)


def test_percent_of_nothing_is_unknown() -> None:
    assert Measurement(name="ready", before=0.0, after=1.0).percent is None
    assert Measurement(name="ready", before=2.0, after=0.0).percent == -100


def test_builds_differ_by_what_is_in_them_and_not_by_how_long_they_took() -> None:
    slower = facts(cold_start={"ready": 25.0}, disk_used=5e9)
    assert not compare(facts(cold_start={"ready": 20.0}, disk_used=4e9), slower).is_different
    assert compare(facts(), facts(replace(INVENTORY, units=("a.service",)))).is_different
    assert compare(facts(), facts(INVENTORY, recipe(parent=BASE.fingerprint), BASE)).is_different
    assert compare(facts(tests={"a": "passed"}), facts(tests={"a": "failed"})).is_different


def test_comparing_the_other_way_round_turns_every_change_round() -> None:
    before = replace(INVENTORY, packages=(package("a", "1"), package("b", "1"), package("c", "2")))
    after = replace(INVENTORY, packages=(package("b", "2"), package("c", "1"), package("d", "1")))
    turned = {"up": "down", "down": "up", "new": "gone", "gone": "new"}
    there, back = compared(before, after).packages, compared(after, before).packages
    assert [(change.name, turned[change.kind], change.after, change.before) for change in there] == [
        (change.name, change.kind, change.before, change.after) for change in back
    ]
