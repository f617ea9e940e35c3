"""EC2 operations on AMIs and snapshots, as EC2 answers them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses.amis import AmisResponse
from moto.kms.models import kms_backends

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_world import ec2_error
from amifactory.sandbox.images_backend import source_image
from amifactory.sandbox.images_query import describe, page, select, tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.images_model import SandboxAmi

TAGGABLE = {"image", "snapshot"}
DEFAULT_KEY = "alias/aws/ebs"


def describe_images(response: Any) -> Any:
    """DescribeImages."""
    response.error_on_dryrun()
    backend, asked = response.ec2_backend, plain(response.params)
    amis = select(
        backend.amis,
        account=backend.account_id,
        ids=asked.get("ImageIds", []),
        owners=asked.get("Owners", []),
        executable_by=asked.get("ExecutableUsers", []),
        filters=response._filters_from_querystring(),  # noqa: SLF001 - moto's way in
        disabled=bool(asked.get("IncludeDisabled")),
    )
    shown, token = page(amis, size=asked.get("MaxResults"), token=asked.get("NextToken"))
    return ActionResult({"Images": [describe(ami) for ami in shown], "NextToken": token})


def _check_tag_specifications(asked: dict[str, Any]) -> list[dict[str, Any]]:
    specifications: list[dict[str, Any]] = asked.get("TagSpecifications", [])
    for specification in specifications:
        kind = specification.get("ResourceType")
        if kind not in TAGGABLE:
            raise ec2_error(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
    return specifications


def create_image(response: Any) -> Any:
    """CreateImage: a running instance is shut down for it and started again, unless NoReboot."""
    backend, asked = response.ec2_backend, plain(response.params)
    response.error_on_dryrun()
    specifications = _check_tag_specifications(asked)
    instance_id = asked["InstanceId"]
    ami = backend.create_image(
        instance_id,
        asked["Name"],
        asked.get("Description", ""),
        specifications,
        asked.get("BlockDeviceMappings", []),
    )
    reboot = backend.get_instance(instance_id).state == "running" and not asked.get("NoReboot")
    driver = backend.world.driver

    def disks() -> None:
        if reboot:
            driver.stop(instance_id)
        try:
            driver.snapshot(instance_id, ami.id)
        finally:
            if reboot:
                driver.start(instance_id)

    backend.make_image(ami, key=instance_id, disks=disks)
    return ActionResult({"ImageId": ami.id})


def copy_image(response: Any) -> Any:
    """CopyImage, from this Region or another."""
    backend, asked = response.ec2_backend, plain(response.params)
    response.error_on_dryrun()
    specifications = _check_tag_specifications(asked)
    made = backend.once("CopyImage", asked.get("ClientToken"), asked)
    if made is None:
        region = asked["SourceRegion"]
        source = source_image(backend.account_id, region, asked["SourceImageId"])
        if source.state != "available":
            raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{source.id}' is not available")
        encrypted = bool(asked.get("Encrypted")) or source.root_volume.encrypted
        if asked.get("KmsKeyId") and not encrypted:
            raise ec2_error(
                "InvalidParameterDependency", "The parameter [KmsKeyId] requires the parameter [Encrypted]"
            )
        key = asked.get("KmsKeyId") or (source.root_volume.kms_key_id if encrypted else None)
        made = backend.copy_image_as(
            source,
            source_region=region,
            name=asked["Name"],
            description=asked.get("Description", ""),
            volume=replace(source.root_volume, encrypted=encrypted, kms_key_id=key),
        )
        backend.register_image_object(made, specifications)
        if asked.get("CopyImageTags"):
            given = tags(made)
            made.add_tags(
                {k: v for k, v in tags(source).items() if k not in given and not k.startswith("aws:")}
            )
        disks = partial(copy_disks, backend, source, made)
        backend.make_image(made, key=made.id, disks=disks)
        backend.remember("CopyImage", asked.get("ClientToken"), asked, made)
    return ActionResult({"ImageId": made.id})


def copy_disks(backend: Any, source: SandboxAmi, copy: SandboxAmi) -> None:
    """Copies what an AMI boots from. The key is looked at only now: EC2 then fails the AMI, not the call."""
    key = copy.root_volume.kms_key_id
    if key is not None:
        with backend.world.lock:
            check_key(backend, key)
    backend.world.driver.copy_snapshot(source.driver_image, copy.id)


def check_key(backend: Any, key_id: str) -> None:
    """Raises when KMS has no such key or alias in the Region."""
    if key_id == DEFAULT_KEY:
        return
    try:
        kms_backends[backend.account_id][backend.region_name].describe_key(key_id)
    except KeyError as error:
        raise DriverError(f"Given key ID is not accessible: {key_id}") from error


def modify_image_attribute(response: Any) -> Any:
    """ModifyImageAttribute: Description, ImdsSupport, launch permissions; a disabled AMI cannot be shared."""
    backend, asked = response.ec2_backend, plain(response.params)
    ami = backend.own_image(asked["ImageId"])
    attribute = asked.get("Attribute")
    description = asked.get("Description", {}).get("Value")
    imds = asked.get("ImdsSupport", {}).get("Value")
    if attribute == "description":
        description = asked.get("Value")
    if attribute == "imdsSupport":
        imds = asked.get("Value")
    if description is None and imds is None:
        if ami.state == "disabled":
            raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{ami.id}' is not available")
        return AmisResponse.modify_image_attribute(response)
    response.error_on_dryrun()
    if imds not in {None, "v2.0"}:
        raise ec2_error("InvalidParameterValue", f"Value ( {imds} ) for parameter imdsSupport is invalid.")
    ami.description = ami.description if description is None else description
    ami.imds_support = imds or ami.imds_support
    return EmptyResult()


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "describe_images": describe_images,
    "create_image": create_image,
    "copy_image": copy_image,
    "modify_image_attribute": modify_image_attribute,
}
