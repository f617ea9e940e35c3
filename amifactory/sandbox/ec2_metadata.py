"""Instance metadata options: who has a say in them, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models.instances import MetadataOptions

from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_world import ec2_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_PREFERENCE = {"no-preference", -1}
HOPS = range(1, 65)
ACCOUNT_LEVEL: Mapping[str, set[str]] = {
    "HttpTokens": {"optional", "required", "no-preference"},
    "HttpEndpoint": {"disabled", "enabled", "no-preference"},
    "InstanceMetadataTags": {"disabled", "enabled", "no-preference"},
}
"""EC2 API reference, ModifyInstanceMetadataDefaults; HttpPutResponseHopLimit is a number."""


def launch_options(*, ami: Any, account: Mapping[str, Any], template: Any, request: Any) -> dict[str, Any]:
    """Returns a new instance's options, each by itself: the launch's, else the account's, else the AMI's.

    EC2 user guide, "Order of precedence for instance metadata options"; what an AMI stands for: EC2 API
    reference, ModifyImageAttribute, ImdsSupport.
    """
    imds_v2 = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    by_ami = imds_v2 if ami.imds_support == "v2.0" else {}
    return {**by_ami, **account, **(template or {}), **(request or {})}


def modify_instance_metadata_defaults(response: Any) -> Any:
    """ModifyInstanceMetadataDefaults: what is not given stays as it is."""
    response.error_on_dryrun()
    asked = plain(response.params)
    if "HttpTokensEnforced" in asked:
        raise NotImplementedError("HttpTokensEnforced")
    _check(asked)
    defaults: dict[str, Any] = response.ec2_backend.metadata_defaults
    defaults |= {key: asked[key] for key in [*ACCOUNT_LEVEL, "HttpPutResponseHopLimit"] if key in asked}
    for key in [key for key, value in defaults.items() if value in NO_PREFERENCE]:
        del defaults[key]
    return ActionResult({"Return": True})


def _check(asked: dict[str, Any]) -> None:
    wrong = [key for key, values in ACCOUNT_LEVEL.items() if key in asked and asked[key] not in values]
    hops = asked.get("HttpPutResponseHopLimit", -1)
    if hops not in HOPS and hops not in NO_PREFERENCE:
        wrong.append("HttpPutResponseHopLimit")
    for key in wrong:
        raise ec2_error("InvalidParameterValue", f"Value ({asked[key]}) for parameter {key} is invalid.")


def get_instance_metadata_defaults(response: Any) -> Any:
    """GetInstanceMetadataDefaults."""
    response.error_on_dryrun()
    return ActionResult({"AccountLevel": {**response.ec2_backend.metadata_defaults, "ManagedBy": "account"}})


def modify_instance_metadata_options(response: Any) -> Any:
    """ModifyInstanceMetadataOptions: what is not given stays as it is."""
    response.error_on_dryrun()
    asked = plain(response.params)
    instance = response.ec2_backend.get_instance(asked["InstanceId"])
    now = instance.metadata_options
    options = {
        "HttpTokens": now.http_tokens,
        "HttpPutResponseHopLimit": now.http_put_response_hop_limit,
        "HttpEndpoint": now.http_endpoint,
        "HttpProtocolIpv6": now.http_protocol_ipv6,
        "InstanceMetadataTags": now.instance_metadata_tags,
    }
    options |= {key: value for key, value in asked.items() if key in options}
    instance.metadata_options = MetadataOptions(options)
    return ActionResult({"InstanceId": instance.id, "InstanceMetadataOptions": instance.metadata_options})


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get_instance_metadata_defaults": get_instance_metadata_defaults,
    "modify_instance_metadata_defaults": modify_instance_metadata_defaults,
    "modify_instance_metadata_options": modify_instance_metadata_options,
}
