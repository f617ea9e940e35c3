"""``verification``: what proving a build takes over booting it and running its specs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from factories import aws_of, copy_own_factory, sandbox
from measure import PYTHON, ROOT, Taken, interleave, median_difference, median_ratio
from report import Measurement

from amifactory.sbom import from_cyclonedx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from measure import Bench

IMAGE = "node"
FAMILY = ("base-docker", IMAGE)
"""The image and its ancestors."""

SPEC = """\
def test_there_are_many_packages(host):
    assert len(host.check_output("dpkg-query --show").splitlines()) >= 500
"""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the time of ``verify`` next to that of booting until SSH answers and of pytest by itself."""
    root = copy_own_factory(bench.folder())
    (root / "images" / IMAGE / "spec/test_packages.py").write_text(SPEC)
    rounds = bench.rounds(5)
    with sandbox(bench, root) as state:
        built = json.loads(bench.amifactory(root, "--sandbox", "build", IMAGE, "--json").output)["builds"]
        (ami_id,) = (build["ami_id"] for build in built if build["image"] == IMAGE)
        reports = root / ".amifactory/reports" / ami_id
        told = bench.folder() / "facts.json"
        told.write_text(json.dumps(facts(max((root / ".amifactory/runs").iterdir()))))
        environment = {
            **aws_of(state),
            "AMIFACTORY_FACTS": str(told),
            "PYTEST_PLUGINS": "amifactory.spec.plugin",
        }
        taken = interleave(
            rounds,
            lambda: _verify(bench, root, reports),
            lambda: _boot_and_test(bench, root, ami_id, environment),
        )
    packages = len(from_cyclonedx((reports / "sbom.cdx.json").read_text()).packages)
    figure = partial(Measurement, benchmark="verification", rounds=rounds)
    yield figure(
        what=f"verify - (boot until SSH + pytest), {packages} packages",
        value=median_difference(taken),
        unit="s",
        limit=10,
    )
    yield figure(what="verify / (boot until SSH + pytest)", value=median_ratio(taken), unit="x", limit=None)
    for what, seconds in parts(taken).items():
        yield figure(what=f"part of it: {what}", value=seconds, unit="s", limit=None)


def facts(run: Path) -> dict[str, Any]:
    """Returns what specs may ask for, from what Packer was told in a run: ancestors' tools and images too."""
    told = [
        json.loads((run / f"{name}-x86_64/context/recipe.auto.pkrvars.json").read_text()) for name in FAMILY
    ]
    merged = {what: {**told[0][what], **told[1][what]} for what in ("tools", "prepull")}
    return {"image": IMAGE, "architecture": "x86_64", "offline": told[-1]["offline"], **merged}


def phases(report: str) -> dict[str, float]:
    """Returns the seconds of each phase of a verification, given the text of its report."""
    return {phase["name"]: phase["seconds"] for phase in json.loads(report)["timeline"]}


def parts(taken: Sequence[tuple[Taken, ...]]) -> dict[str, float]:
    """Returns what a verification spends on more than booting and testing: the medians, in seconds.

    Args:
        taken: Pairs of a verification, whose output is its report, and of doing it by hand.
    """
    found: list[dict[str, float]] = []
    for verified, bare in taken:
        spent = phases(verified.output)
        alone = json.loads(bare.output)["spec"]
        found.append(
            {
                "ready signal, first docker runs": spent["waiting until ready"],
                "spec beside leak scan and inventory - spec alone": spent["running the spec"] - alone,
                "leak scan after the spec": spent.get("looking for leaks", 0.0),
                "start-up, clean-up": verified.wall - sum(spent.values()),
            }
        )
    return {what: median(each[what] for each in found) for what in found[0]}


def _verify(bench: Bench, root: Path, reports: Path) -> Taken:
    """Times ``amifactory verify``; its output is the report."""
    taken = bench.amifactory(root, "--sandbox", "verify", IMAGE)
    return replace(taken, output=(reports / "report.json").read_text())


def _boot_and_test(bench: Bench, root: Path, ami_id: str, environment: Mapping[str, str]) -> Taken:
    """Times booting and pytest, without what comes before and after; the output has the seconds of each."""
    specs = [root / "images" / name / "spec" for name in ("_shared", *FAMILY)]
    script = ROOT / "benchmarks/bare_verify.py"
    taken = bench.run(PYTHON, script, ami_id, *specs, environment=environment)
    seconds = taken.output.splitlines()[-1]
    return replace(taken, wall=sum(json.loads(seconds).values()), output=seconds)
