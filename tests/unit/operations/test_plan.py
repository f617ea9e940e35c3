"""What a plan knows of how each image is judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.model import AmiId, Architecture, SourceAmi
from amifactory.operations.plan import wanted_builds

if TYPE_CHECKING:
    from amifactory.config.models import Configuration
    from amifactory.domain.staleness import Wanted

SOURCE = SourceAmi(ami_id=AmiId("ami-source"), name="debian-12-1", root_device="/dev/xvda")
SOURCES = {("base", Architecture.X86_64): SOURCE}


def wanted(configuration: Configuration, **verify: Any) -> Wanted:
    """Returns what the image ``base`` should be, its ``verify`` block changed so."""
    base = configuration.images["base"]
    base = base.model_copy(update={"verify": base.verify.model_copy(update=verify)})
    changed = replace(configuration, images={**configuration.images, "base": base})
    (want,) = wanted_builds(changed, [base], SOURCES, {})
    return want


@pytest.mark.parametrize(
    "verify",
    [
        {"ready_within": timedelta(seconds=60)},
        {"first_run_within": timedelta(seconds=20)},
        {"regression": 0.2},
        {"allow_leaks": ("log:/var/log/*",)},
    ],
)
def test_what_judges_a_build_has_it_verified_again_and_not_built(
    configuration: Configuration, verify: dict[str, Any]
) -> None:
    before, after = wanted(configuration), wanted(configuration, **verify)
    assert after.spec.startswith(f"{before.spec}+")
    assert after.fingerprint == before.fingerprint


def test_what_only_ends_a_verification_changes_nothing(configuration: Configuration) -> None:
    assert wanted(configuration, timeout=timedelta(minutes=3)) == wanted(configuration)
