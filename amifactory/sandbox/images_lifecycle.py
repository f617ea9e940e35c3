"""How an AMI ends: deprecated, disabled, protected, deregistered. EC2 API reference and user guide.

AWS documents no codes or texts of errors for any of it. `DeregistrationProtection`'s values are those that
were seen: https://github.com/ekristen/aws-nuke, resources/ec2-image.go.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult

from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_world import ec2_error
from amifactory.sandbox.images_model import Protection

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.images_model import SandboxAmi

FURTHEST_DEPRECATION_YEARS = 10
FURTHEST_PUBLIC_DEPRECATION_YEARS = 2
"""EnableImageDeprecation, DeprecateAt: from now on, and of public AMIs from their creation."""
COOLDOWN = timedelta(hours=24)
"""EnableImageDeregistrationProtection, WithCooldown."""


def _asked(response: Any) -> tuple[Any, SandboxAmi, dict[str, Any]]:
    """Returns backend, AMI and parameters of a request about an AMI of one's own."""
    backend, asked = response.ec2_backend, plain(response.params)
    ami = backend.own_image(asked["ImageId"])
    response.error_on_dryrun()
    return backend, ami, asked


def enable_image_deprecation(response: Any) -> Any:
    """EnableImageDeprecation: on a date to come, to the nearest minute. Launches go on as before."""
    backend, ami, asked = _asked(response)
    ami.deprecate_at = deprecation_date(
        asked["DeprecateAt"],
        now=backend.world.now(),
        public_since=ami.creation_date.replace(tzinfo=UTC) if ami.is_public else None,
    )
    return ActionResult({"Return": True})


def deprecation_date(asked: datetime, *, now: datetime, public_since: datetime | None) -> datetime:
    """Returns when an AMI is deprecated that shall be at a certain time.

    "If you specify a value for seconds, Amazon EC2 rounds the seconds to the nearest minute. You can't
    specify a date in the past. The upper limit for DeprecateAt is 10 years from now, except for public AMIs,
    where the upper limit is 2 years from the creation date."
    """
    wanted = asked if asked.tzinfo else asked.replace(tzinfo=UTC)
    minute = (wanted + timedelta(seconds=30)).replace(second=0, microsecond=0)
    if public_since is None:
        latest = years_after(now, FURTHEST_DEPRECATION_YEARS)
    else:
        latest = years_after(public_since, FURTHEST_PUBLIC_DEPRECATION_YEARS)
    if wanted <= now:
        raise ec2_error("InvalidParameterValue", f"DeprecateAt is in the past: {wanted.isoformat()}")
    if wanted > latest:
        raise ec2_error("InvalidParameterValue", f"DeprecateAt is later than {latest.isoformat()}")
    return minute


def years_after(moment: datetime, years: int) -> datetime:
    """Returns the same day some years later, for 29 February the first of March."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


def disable_image_deprecation(response: Any) -> Any:
    """DisableImageDeprecation."""
    _, ami, _ = _asked(response)
    ami.deprecate_at = None
    return ActionResult({"Return": True})


def disable_image(response: Any) -> Any:
    """DisableImage: no more launches; "if an AMI was public or previously shared, it is made private"."""
    _, ami, _ = _asked(response)
    _check_state(ami)
    ami.state = "disabled"
    ami.launch_permissions.clear()
    return ActionResult({"Return": True})


def enable_image(response: Any) -> Any:
    """EnableImage: who "lost access to the AMI when it was disabled do not regain access automatically"."""
    _, ami, _ = _asked(response)
    _check_state(ami)
    ami.state = "available"
    return ActionResult({"Return": True})


def _check_state(ami: SandboxAmi) -> None:
    if ami.state not in {"available", "disabled"}:
        raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{ami.id}' is not available")


def enable_image_deregistration_protection(response: Any) -> Any:
    """EnableImageDeregistrationProtection."""
    _, ami, asked = _asked(response)
    ami.protection = Protection.WITH_COOLDOWN if asked.get("WithCooldown") else Protection.WITHOUT_COOLDOWN
    ami.protected_until = None
    return ActionResult({"Return": "true"})


def disable_image_deregistration_protection(response: Any) -> Any:
    """DisableImageDeregistrationProtection: with a cooldown it protects for 24 hours more."""
    backend, ami, _ = _asked(response)
    if ami.protection == Protection.WITH_COOLDOWN:
        ami.protected_until = backend.world.now() + COOLDOWN
    ami.protection = Protection.NONE
    return ActionResult({"Return": "true"})


def deregister_image(response: Any) -> Any:
    """DeregisterImage: not while it is protected. Snapshots stay unless asked for; each one's fate is told.

    "If a snapshot is associated with multiple AMIs, it is not deleted": its ReturnCode is ``skipped``.
    """
    backend, ami, asked = _asked(response)
    if ami.is_protected(backend.world.now()):
        raise ec2_error(
            "OperationNotPermitted",
            f"Deregistration protection of the image '{ami.id}' does not permit this.",
        )
    backend.deregister_image(ami.id)
    results = []
    if asked.get("DeleteAssociatedSnapshots"):
        snapshot_id = ami.ebs_snapshot.id
        shared = any(other.ebs_snapshot.id == snapshot_id for other in backend.amis.values())
        if not shared:
            backend.delete_snapshot(snapshot_id)
        results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped" if shared else "success"})
    return ActionResult({"Return": True, "DeleteSnapshotResults": results})


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "enable_image_deprecation": enable_image_deprecation,
    "disable_image_deprecation": disable_image_deprecation,
    "disable_image": disable_image,
    "enable_image": enable_image,
    "enable_image_deregistration_protection": enable_image_deregistration_protection,
    "disable_image_deregistration_protection": disable_image_deregistration_protection,
    "deregister_image": deregister_image,
}
