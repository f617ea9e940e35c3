"""Pre-pulled images: each is the right one and runs, and how long its first start takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.measure.instance import Ended

if TYPE_CHECKING:
    from tests.unit.probes.measure.conftest import MadeUp

HUB = "registry-1.docker.io"
DIGEST, OTHER_DIGEST = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
NO_TRUE = Ended(127, "", 'exec: "true": executable file not found in $PATH')
OTHER_ARCHITECTURE = (
    "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform "
    "(linux/amd64) and no specific platform was requested"
)


def test_each_image_is_started_in_turn_once_all_is_cut_off_and_before_it_is_pulled(here: MadeUp) -> None:
    here.store("node:22", seconds=1.25)
    here.store("alpine:3.20", seconds=0.5)
    found = here.measured(["node:22", "alpine:3.20"], HUB)
    assert found["first_run"] == {"alpine:3.20": 0.5, "node:22": 1.25}
    assert found["prepull_problems"] == {}
    docker = [said.split()[1] for said in here.said if said.startswith("docker")]
    assert docker == ["info", *["image", "run", "rm", "pull"] * 2]
    runs = [said.split()[-1] for said in here.said if said.startswith("docker run")]
    assert runs == ["alpine:3.20", "node:22"]
    first_run = next(number for number, said in enumerate(here.said) if said.startswith("docker run"))
    assert any(said.startswith("ip ") for said in here.said[:first_run])
    assert not any(said.startswith("ip ") for said in here.said[first_run:])


def test_an_image_that_is_not_there_is_told(here: MadeUp) -> None:
    found = here.measured(["app:1"], HUB)
    assert found["prepull_problems"] == {"app:1": "it is not on the instance"}
    assert found["first_run"] == {}


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ({"digest": OTHER_DIGEST}, f"the one on the instance is {OTHER_DIGEST}, not {DIGEST}"),
        ({"digest": None}, f"the one on the instance is one that came from no registry, not {DIGEST}"),
        (
            {"starts": Ended(125, "", "docker: layer does not exist.\nSee 'docker run --help'.\n")},
            "it does not run: docker: layer does not exist.",
        ),
        (
            {"starts": Ended(1, "", f"{OTHER_ARCHITECTURE}\nexec /bin/true: exec format error\n")},
            f"it does not run: {OTHER_ARCHITECTURE}",
        ),
        ({"starts": Ended(139, "", "")}, "it does not run: exit status 139"),
        ({"starts": Ended(None, "", "")}, "it did not start within 300 s"),
        (
            {"starts": NO_TRUE, "starts_own_program": Ended(125, "", "docker: No command specified.")},
            "it does not run: docker: No command specified.",
        ),
        (
            {"starts": NO_TRUE, "starts_own_program": Ended(None, "", "")},
            "it did not start within 300 s",
        ),
        (
            {"starts": NO_TRUE, "starts_own_program": Ended(0, "2d07e268\n", f"{OTHER_ARCHITECTURE}\n")},
            f"it does not run: {OTHER_ARCHITECTURE}",
        ),
    ],
)
def test_an_image_that_is_not_right_is_told_and_has_no_time(
    here: MadeUp, stored: dict[str, Any], problem: str
) -> None:
    here.store("app:1", **stored)
    found = here.measured(["app:1"], HUB)
    assert found["prepull_problems"] == {"app:1": problem}
    assert found["first_run"] == {}


def test_an_image_of_another_architecture_that_runs_all_the_same_is_right(here: MadeUp) -> None:
    here.store("app:1", starts=Ended(0, "", f"{OTHER_ARCHITECTURE}\n"))
    assert here.measured(["app:1"], HUB)["prepull_problems"] == {}


@pytest.mark.parametrize(
    ("stuck", "problem"),
    [
        ({"starts": Ended(None, "", "")}, "it did not start within 300 s"),
        ({"looked_at": Ended(None, "", "")}, "Docker did not look at it within 60 s"),
    ],
)
def test_once_docker_hangs_no_further_image_is_tried(
    here: MadeUp, stuck: dict[str, Any], problem: str
) -> None:
    here.store("app:1", "app:3", "app:4")
    here.store("app:2", **stuck)
    found = here.measured(here.images, HUB)
    untried = f"it was not tried after app:2: {problem}"
    assert found["prepull_problems"] == {"app:2": problem, "app:3": untried, "app:4": untried}
    assert found["first_run"] == {"app:1": 0.5}
    assert not any("app:3" in said or "app:4" in said for said in here.said)


@pytest.mark.parametrize("without_true", [NO_TRUE, Ended(126, "", 'exec: "true": permission denied')])
def test_an_image_without_true_runs_its_own_program_and_both_starts_count(
    here: MadeUp, without_true: Ended
) -> None:
    here.store("app:1", starts=without_true, seconds=0.5)
    found = here.measured(["app:1"], HUB)
    assert found["first_run"] == {"app:1": 1.0}
    assert found["prepull_problems"] == {}


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        (Ended(127, "", "docker: No such file or directory"), "Docker is not installed on the instance"),
        (
            Ended(1, '{"ServerErrors": ["Cannot connect"]}', "errors pretty printing info"),
            "Docker does not answer: Cannot connect",
        ),
        (
            Ended(0, '{"ServerVersion": "", "ServerErrors": ["Cannot connect"]}', ""),
            "Docker does not answer: Cannot connect",
        ),
        (Ended(1, "", "permission denied\n"), "Docker does not answer: permission denied"),
        (Ended(None, "", ""), "Docker does not answer: it took too long"),
    ],
)
def test_without_docker_there_is_nothing_to_start(here: MadeUp, info: Ended, problem: str) -> None:
    here.store("app:1")
    here.docker_info = info
    found = here.measured(["app:1"], HUB)
    assert found["prepull_problems"] == {"app:1": problem}
    assert found["docker_at"] is None
    assert not any(said.startswith("docker run") for said in here.said)


def test_measuring_twice_finds_the_same(here: MadeUp) -> None:
    here.store("app:1")
    first, second = (here.measured(["app:1"], HUB) for _ in range(2))
    assert first["prepull_problems"] == second["prepull_problems"] == {}
    assert first["cut_off"] == second["cut_off"]
