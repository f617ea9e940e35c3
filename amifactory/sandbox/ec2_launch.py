"""RunInstances: what EC2 checks before an instance exists, and what it takes from AMI and template."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from amifactory.sandbox.ec2_aliases import resolve_alias
from amifactory.sandbox.ec2_disks import check_size, root_settings
from amifactory.sandbox.ec2_metadata import launch_options
from amifactory.sandbox.ec2_world import ec2_error, tags_of

if TYPE_CHECKING:
    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.images_model import SandboxAmi

TEMPLATE_KEYS = ("MetadataOptions", "IamInstanceProfile")
"""What a launch template gives and moto takes from the request only."""


class LaunchMixin:
    """Part of the EC2 backend: new instances."""

    world: World

    def run_instances(
        self: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **options: Any
    ) -> Any:
        """Makes instances, pending, and starts their machines."""
        template = self._template(options)
        ami = self._bootable_image(image_id or template.get("ImageId"))
        options = self._merge(options, template, ami)
        if not security_group_names:
            self._default_group(options, template)
        reservation = super().run_instances(ami.id, count, user_data, security_group_names, **options)  # type: ignore[misc]
        profile = template.get("IamInstanceProfile") if not requested_profile(options) else None
        for instance in reservation.instances:
            self._settle(instance, profile)
            instance.imds_support = ami.imds_support
            self.launch(instance, ami.driver_image)
        ami.launched_at.append(self.world.now())
        return reservation

    def _template(self: Any, options: dict[str, Any]) -> dict[str, Any]:
        chosen = options.get("launch_template")
        return dict(self._get_template_from_args(chosen).data) if chosen else {}

    def _bootable_image(self: Any, image_id: str | None) -> SandboxAmi:
        if not image_id:
            raise ec2_error("MissingParameter", "The request must contain the parameter ImageId")
        ami: SandboxAmi = self.image(resolve_alias(self, image_id))
        if ami.state != "available":
            raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{ami.id}' is not available")
        return ami

    def _merge(
        self: Any, options: dict[str, Any], template: dict[str, Any], ami: SandboxAmi
    ) -> dict[str, Any]:
        """Returns moto's options with everything filled in that EC2 would, checked."""
        merged = {**options, **template_options(options, template)}
        self._check_type(merged, template, ami)
        key_name = merged.get("key_name") or template.get("KeyName")
        if key_name and key_name not in self.key_pairs:
            raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
        merged["metadata_options"] = launch_options(
            ami=ami,
            account=self.metadata_defaults,
            template=template.get("MetadataOptions"),
            request=merged.get("metadata_options"),
        )
        merged["nics"] = merged.get("nics") or deepcopy(template.get("NetworkInterfaces") or [])
        subnets = [nic["SubnetId"] for nic in merged["nics"] if nic.get("SubnetId")]
        if not merged.get("subnet_id") and not subnets:
            subnet = self.default_subnet_id(merged.get("placement"))
            merged["subnet_id"] = subnet
            subnets = [subnet]
        for subnet in subnets or [merged["subnet_id"]]:
            self.get_subnet(subnet)
        if merged.get("associate_public_ip") is None:
            merged["associate_public_ip"] = next(
                (nic.get("AssociatePublicIpAddress") for nic in merged["nics"]), None
            )
        requested = merged.get("block_device_mappings") or template.get("BlockDeviceMappings") or []
        merged["block_device_mappings"] = root_mapping(requested, ami)
        return merged

    def _default_group(self: Any, options: dict[str, Any], template: dict[str, Any]) -> None:
        """An instance with no security group named is in its VPC's default one."""
        nics = options["nics"][:1]
        named = [options.get("security_group_ids"), *(nic.get("Groups") for nic in nics)]
        if any(named) or template.get("SecurityGroupIds") or template.get("SecurityGroups"):
            return
        subnet_id = options.get("subnet_id") or nics[0].get("SubnetId")
        vpc = self.get_subnet(subnet_id).vpc_id
        options["security_group_ids"] = [self.get_security_group_from_name("default", vpc).id]

    def _check_type(self: Any, options: dict[str, Any], template: dict[str, Any], ami: SandboxAmi) -> None:
        kind: str = options["instance_type"]
        if options.get("is_instance_type_default"):
            kind = template.get("InstanceType") or kind
        known = INSTANCE_TYPES.get(kind)
        if known is None:
            raise ec2_error("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
        supported = known["ProcessorInfo"]["SupportedArchitectures"]
        if ami.architecture not in supported:
            raise ec2_error(
                "InvalidParameterValue",
                f"The architecture '{','.join(supported)}' of the specified instance type does not match "
                f"the architecture '{ami.architecture}' of the specified AMI. Specify an instance type "
                "and an AMI that have matching architectures, and try again.",
            )

    def _settle(self: Any, instance: Any, profile: dict[str, str] | None) -> None:
        for nic in instance.nics.values():
            nic.delete_on_termination = True
        if not instance.security_groups:
            instance.security_groups = list(instance.nics[0].group_set)
        if profile:
            self.associate_iam_instance_profile(
                instance_id=instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )


def template_options(options: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    """Returns what a template gives, the request does not, and moto would not take from the template.

    RunInstances, LaunchTemplate: "Any additional parameters that you specify for the new instance overwrite
    the corresponding parameters included in the launch template." Tags are added up, key by key.
    """
    given = {
        "instance_market_options": template.get("InstanceMarketOptions", {}).get("MarketType"),
        "instance_initiated_shutdown_behavior": template.get("InstanceInitiatedShutdownBehavior"),
        "placement": template.get("Placement", {}).get("AvailabilityZone"),
    }
    tags = options.get("tags") or {}
    volume = tags_of(template.get("TagSpecifications", []), "volume") | tags.get("volume", {})
    found = {name: value for name, value in given.items() if value and not options.get(name)}
    return {**found, "tags": {**tags, "volume": volume}}


def requested_profile(options: dict[str, Any]) -> bool:
    """Returns whether the request itself named an instance profile."""
    return bool(options.get("iam_instance_profile_name") or options.get("iam_instance_profile_arn"))


def root_mapping(requested: list[dict[str, Any]], ami: SandboxAmi) -> list[dict[str, Any]]:
    """Returns the root volume's mapping: the AMI's, with what the request says of it."""
    ebs = dict(ami.block_device_mappings[0]["Ebs"])
    given = root_settings(requested, ami.root_device_name)
    given.pop("SnapshotId", None)
    ebs |= {**given, "Encrypted": ebs["Encrypted"] or given.get("Encrypted", False)}
    ebs["VolumeSize"] = int(ebs["VolumeSize"])
    check_size(ebs["VolumeSize"], smallest=ami.root_volume.size)
    return [{"DeviceName": ami.root_device_name, "Ebs": ebs}]
