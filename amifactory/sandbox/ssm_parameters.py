"""Parameters of AMIs: answered first, looked at later. Systems Manager API reference and user guide."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import ValidationException
from moto.ssm.responses import SimpleSystemManagerResponse

from amifactory.sandbox.ec2_aliases import IMAGE_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_put_in_moto = SimpleSystemManagerResponse.put_parameter


def put_parameter(response: Any) -> Any:
    """PutParameter: HTTP 200 for ``aws:ec2:image`` does not mean that the value is kept.

    DataType: "The aws:ec2:image value is validated asynchronously, and the PutParameter call returns before
    the validation is complete. If you submit an invalid AMI value, the PutParameter operation will return
    success, but the asynchronous validation will fail and the parameter will not be created or updated."
    """
    if response._get_param("DataType") != IMAGE_TYPE:  # noqa: SLF001 - moto's way in
        return _put_in_moto(response)
    if response._get_param("Type", "String") != "String":  # noqa: SLF001
        raise ValidationException(f"The data type {IMAGE_TYPE} is for parameters of type String only.")
    backend, name = response.ssm_backend, response._get_param("Name")  # noqa: SLF001
    parameters = backend._parameters  # noqa: SLF001 - moto keeps them nowhere else
    before = list(parameters[name]) if name in parameters else []
    answer = _put_in_moto(response)  # all other checks, and the number of the version
    _take_back(backend, name, before)
    ec2: Any = ec2_backends[backend.account_id][backend.region_name]
    ec2.world.work.submit(work_key(name), partial(_validate, response, ec2))
    return answer


def work_key(name: str) -> str:
    """Returns under which key the values of a parameter are looked at, one after the other."""
    return f"parameter {name}"


def _take_back(backend: Any, name: str, before: list[Any]) -> None:
    """Makes a parameter what it was before its value was put."""
    if before:
        backend._parameters[name][:] = before  # noqa: SLF001
        return
    del backend._parameters[backend._parameters.normalize_name(name)]  # noqa: SLF001 - as moto keeps it
    backend._resource_tags["Parameter"].pop(name, None)  # noqa: SLF001


def _validate(response: Any, ec2: Any) -> None:
    """Puts the value if it is the id of an AMI that is available in the account."""
    name, value = response._get_param("Name"), response._get_param("Value")  # noqa: SLF001
    with ec2.world.lock:
        ami = ec2.amis.get(value)
        if ami is None or ami.state != "available":
            log.info("parameter %s is not changed: %s is no AMI that is available", name, value)
            return
        _put_in_moto(response)


def get_parameters(response: Any) -> Any:
    """GetParameters: what was asked for by version or label says by which, as ``:3``.

    Parameter, Selector: "Either the version number or the label used to retrieve the parameter value."
    """
    names = response._get_param("Names")  # noqa: SLF001 - moto's way in
    found = response.ssm_backend.get_parameters(names)
    decrypted = response._get_param("WithDecryption")  # noqa: SLF001
    told = []
    for name, parameter in found.items():
        _, colon, selector = name.rpartition("/")[2].partition(":")
        described = parameter.response_object(decrypted, response.region)
        told.append({**described, "Selector": colon + selector} if colon else described)
    missing = [name for name in names if name not in found]
    return ActionResult({"Parameters": told, "InvalidParameters": missing})


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get_parameters": get_parameters,
    "put_parameter": put_parameter,
}
