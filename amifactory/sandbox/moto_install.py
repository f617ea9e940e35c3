"""Puts the sandbox's EC2 into moto. All private API of moto that is replaced is named here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amifactory.sandbox.ec2_world import World

HOOKS = {
    "moto.cloudwatch.models": ["CloudWatchBackend.describe_alarms", "CloudWatchBackend.set_alarm_state"],
    "moto.cloudwatch.responses": ["CloudWatchResponse.put_metric_alarm"],
    "moto.core.base_backend": ["BackendDict"],
    "moto.core.parse": ["QueryParser"],
    "moto.core.responses": ["ActionResult", "BaseResponse.serialized"],
    "moto.core.routing": ["get_service_router"],
    "moto.core.serialize": ["QuerySerializer"],
    "moto.core.types": ["Base64EncodedString"],
    "moto.ec2.models": [
        "ec2_backends.backend",
        "EC2Backend._load_amis",
        "EC2Backend.create_default_vpc",
        "EC2Backend.create_image",
        "EC2Backend.run_instances",
        "EC2Backend.start_instances",
        "EC2Backend.stop_instances",
        "EC2Backend.terminate_instances",
        "EC2Backend.reboot_instances",
        "EC2Backend._get_template_from_args",
    ],
    "moto.ec2.models.amis": ["Ami"],
    "moto.ec2.models.elastic_block_store": ["Snapshot.progress"],
    "moto.ec2.models.instances": ["Instance.terminate"],
    "moto.ec2.models.instance_types": ["INSTANCE_TYPES"],
    "moto.ec2.models.launch_templates": ["LaunchTemplate.create_version", "LaunchTemplateVersion"],
    "moto.ec2.models.subnets": ["Subnet.get_available_subnet_ip"],
    "moto.iam.models": ["get_account_id_from"],
    "moto.moto_server.werkzeug_app": [
        "create_backend_app",
        "DomainDispatcherApplication.infer_service_region_host",
    ],
    "moto.ssm.models": [
        "ParameterDict.normalize_name",
        "SimpleSystemManagerBackend.get_parameter",
        "SimpleSystemManagerBackend.get_parameters",
    ],
    "moto.ssm.responses": [
        "SimpleSystemManagerResponse.get_parameters",
        "SimpleSystemManagerResponse.put_parameter",
    ],
    "moto.sts.models": ["STSBackend.assume_role"],
}
"""Attributes of moto 5.2 the sandbox replaces or builds on."""


def install(world: World) -> None:
    """Makes moto's EC2 this world's; raises an error that lists what this moto lacks."""
    missing = missing_hooks()
    if missing:
        raise AmifactoryError(
            f"this moto is not one the sandbox works with: it has no {', '.join(missing)}",
            hint="Install the version amifactory asks for: pip install 'amifactory[sandbox]'",
        )
    from moto.cloudwatch.responses import CloudWatchResponse  # noqa: PLC0415
    from moto.ec2.models import ec2_backends  # noqa: PLC0415
    from moto.ec2.responses import EC2Response  # noqa: PLC0415
    from moto.ssm.responses import SimpleSystemManagerResponse  # noqa: PLC0415

    from amifactory.sandbox import (  # noqa: PLC0415
        cloudwatch,
        ec2_metadata,
        ec2_responses,
        ec2_template_queries,
        ec2_templates,
        images_lifecycle,
        images_responses,
        images_snapshots,
        ssm_parameters,
    )
    from amifactory.sandbox.ec2_backend import backend_class  # noqa: PLC0415

    for account in list(ec2_backends):
        del ec2_backends[account]
    ec2_backends.backend = backend_class(world)
    replaced = {
        CloudWatchResponse: (cloudwatch,),
        EC2Response: (
            ec2_metadata,
            ec2_responses,
            ec2_template_queries,
            ec2_templates,
            images_lifecycle,
            images_responses,
            images_snapshots,
        ),
        SimpleSystemManagerResponse: (ssm_parameters,),
    }
    for responses, modules in replaced.items():
        for module in modules:
            for name, operation in module.OPERATIONS.items():
                setattr(responses, name, operation)


def missing_hooks(hooks: Mapping[str, Sequence[str]] = HOOKS) -> list[str]:
    """Returns the attributes of moto the sandbox needs and does not find."""
    from importlib import import_module  # noqa: PLC0415

    missing = []
    for module_name, names in hooks.items():
        for name in names:
            owner: object = import_module(module_name)
            for part in name.split("."):
                owner = getattr(owner, part, None)
            if owner is None:
                missing.append(f"{module_name}.{name}")
    return missing
