"""A new member: what RunInstances is asked for it, and what its group then knows of it."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.core.types import Base64EncodedString

from amifactory.sandbox.scaling import activities, choosing, hooks, templates
from amifactory.sandbox.scaling.errors import ScalingError, validation_error
from amifactory.sandbox.scaling.following import launch_failed
from amifactory.sandbox.scaling.model import LAUNCHING_TRANSITION, PENDING, Member
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.choosing import Pick
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group

log = logging.getLogger(__name__)

GROUP_TAG = "aws:autoscaling:groupName"
"""User guide, "Tag Auto Scaling groups and instances"."""


def launch(engine: Engine, group: Group, *, cause: str) -> Member | None:
    """Launches one member in the first way that EC2 accepts; see `Engine.launch`."""
    problem = "no instance type fits"
    try:
        for pick in choosing.picks(engine.backend(group), group):
            try:
                return _start(engine, group, pick, cause=cause)
            except (ServiceException, ScalingError) as error:
                problem = str(error.message)
    except (ServiceException, ScalingError) as error:
        problem = str(error.message)
    except Exception:
        log.exception("a launch of group %s failed", group.name)
        problem = "An internal error has occurred"
    activity = activities.begin(engine, group, "Launching a new EC2 instance", cause=cause)
    message = f"{problem.removesuffix('.')}. Launching EC2 instance failed."
    activities.end(engine, group, activity, status=activities.FAILED, message=message)
    launch_failed(engine, group)
    return None


def _start(engine: Engine, group: Group, pick: Pick, *, cause: str) -> Member:
    backend = engine.backend(group)
    template, version = templates.find(backend, templates.specification_of(group.launches, pick.override))
    data = dict(version.data)
    user_data = Base64EncodedString(str(data["UserData"])) if data.get("UserData") else None
    options = _options(backend, group, pick, template=template, version=version)
    (instance,) = backend.run_instances("", 1, user_data, [], **options).instances
    member = Member(
        instance_id=instance.id,
        instance_type=instance.instance_type,
        zone=instance.availability_zone,
        template_id=template.id,
        template_name=template.name,
        template_version=int(version.number),
        image_id=instance.image_id,
        protected=group.protect_new,
        spot=pick.spot,
        weight=pick.weight,
        launched_at=engine.clock.now(),
    )
    member.launching = activities.begin(
        engine,
        group,
        f"Launching a new EC2 instance: {instance.id}",
        cause=cause,
        instance_id=instance.id,
    )
    engine.remember(instance)
    group.members.append(member)
    enter(engine, member, PENDING)
    hooks.hold(engine, group, member, LAUNCHING_TRANSITION)
    return member


def _options(backend: Any, group: Group, pick: Pick, *, template: Any, version: Any) -> dict[str, Any]:
    """Returns what RunInstances is asked, in moto's words; the rest is in the template."""
    data = version.data
    kind = pick.instance_type or data.get("InstanceType")
    if not kind:
        raise validation_error("The request must contain the parameter InstanceType")
    subnet_id = choosing.subnet(backend, group).id
    nics = [{**nic, "SubnetId": subnet_id} for nic in deepcopy(data.get("NetworkInterfaces") or [])]
    monitored = (data.get("Monitoring") or {}).get("Enabled")
    return {
        "instance_type": kind,
        "is_instance_type_default": False,
        "region_name": group.region,
        "subnet_id": subnet_id,
        "nics": nics,
        "associate_public_ip": None,
        "launch_template": {"LaunchTemplateId": template.id, "Version": str(version.number)},
        "instance_market_options": "spot" if pick.spot else None,
        "monitoring_state": "enabled" if monitored else "disabled",
        "tags": {"instance": instance_tags(group)},
    }


def instance_tags(group: Group) -> dict[str, str]:
    """Returns the tags of a group's instances, besides those of its template."""
    own = {tag["Key"]: tag["Value"] for tag in group.tags if tag["PropagateAtLaunch"]}
    return {**own, GROUP_TAG: group.name}
