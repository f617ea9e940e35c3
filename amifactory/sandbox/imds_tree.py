"""What the instance metadata service knows of one instance, as a tree of paths."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import filter_iam_instance_profiles
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIAL_SECONDS = 6 * 3600
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def role_of(instance: Any) -> Any:
    """Returns the IAM role of the instance's profile, or None."""
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return None
    backend = instance.ec2_backend
    arn = association.iam_instance_profile.arn
    profile = filter_iam_instance_profiles(backend.account_id, backend.partition, arn, None)
    return next(iter(profile.roles), None)


def role_credentials(instance: Any, role: Any, now: datetime) -> dict[str, str]:
    """Returns credentials of the role, the same ones until half an hour before they end."""
    issued: dict[str, str] | None = getattr(instance, "imds_credentials", None)
    if issued and issued["Expiration"] > (now + timedelta(minutes=30)).strftime(FORMAT):
        return issued
    backend = instance.ec2_backend
    assumed = sts_backends[backend.account_id][backend.partition].assume_role(
        region_name=backend.region_name,
        role_session_name=instance.id,
        role_arn=role.arn,
        policy="",
        duration=CREDENTIAL_SECONDS,
        external_id="",
    )
    issued = {
        "Code": "Success",
        "LastUpdated": now.strftime(FORMAT),
        "Type": "AWS-HMAC",
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": (now + timedelta(seconds=CREDENTIAL_SECONDS)).strftime(FORMAT),
    }
    instance.imds_credentials = issued
    return issued


def identity_document(instance: Any) -> dict[str, Any]:
    """Returns the instance identity document's fields."""
    return {
        "accountId": instance.owner_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.availability_zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": instance.launch_time.strftime(FORMAT),
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": instance.ec2_backend.region_name,
        "version": "2017-09-30",
    }


def metadata(instance: Any, *, endpoint: str, now: datetime) -> dict[str, Any]:
    """Returns the tree under /latest: dictionaries are directories, texts are files."""
    latest: dict[str, Any] = {
        "meta-data": _meta_data(instance, endpoint, now),
        "dynamic": {"instance-identity": {"document": json.dumps(identity_document(instance), indent=2)}},
    }
    if instance.user_data:
        latest["user-data"] = instance.user_data
    return latest


def _meta_data(instance: Any, endpoint: str, now: datetime) -> dict[str, Any]:
    backend, name = instance.ec2_backend, instance.private_dns_name
    zone = instance.availability_zone
    tree: dict[str, Any] = {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.ami_launch_index),
        "hostname": name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": name,
        "local-ipv4": instance.private_ip,
        "mac": instance.nics[0].mac_address,
        "placement": {
            "availability-zone": zone,
            "availability-zone-id": backend.get_subnet(instance.subnet_id).availability_zone_id,
            "region": backend.region_name,
        },
        "reservation-id": _reservation_of(instance),
        "security-groups": "\n".join(group.name for group in instance.nics[0].group_set),
        "services": {"domain": "amazonaws.com", "partition": backend.partition},
        "sandbox": {"endpoint": endpoint},
    }
    if instance.public_ip:
        tree |= {"public-ipv4": instance.public_ip, "public-hostname": instance.public_dns_name}
    if key := backend.key_pairs.get(instance.key_name):
        tree["public-keys"] = {
            f"0={instance.key_name}": None,
            "0": {"openssh-key": f"{key.public_key.strip()}\n"},
        }
    if instance.metadata_options.instance_metadata_tags == "enabled":
        tree["tags"] = {"instance": dict(backend.tags.get(instance.id, {}))}
    if (role := role_of(instance)) is not None:
        tree["iam"] = _iam(instance, role, now)
    return tree


def _reservation_of(instance: Any) -> str:
    reservations: Mapping[str, Any] = instance.ec2_backend.reservations
    return next(key for key, reservation in reservations.items() if instance in reservation.instances)


def _iam(instance: Any, role: Any, now: datetime) -> dict[str, Any]:
    profile = instance.ec2_backend.iam_instance_profile_associations[instance.id].iam_instance_profile
    info = {
        "Code": "Success",
        "LastUpdated": now.strftime(FORMAT),
        "InstanceProfileArn": profile.arn,
        "InstanceProfileId": profile.id,
    }
    credentials = json.dumps(role_credentials(instance, role, now), indent=2)
    return {"info": json.dumps(info, indent=2), "security-credentials": {role.name: credentials}}


def utc_now() -> datetime:
    """Returns the time the credentials of a request are measured by."""
    return datetime.now(UTC)
