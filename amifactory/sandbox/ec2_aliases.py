"""AMIs named by a Systems Manager parameter: ``resolve:ssm:NAME``, ``NAME:VERSION`` or ``NAME:LABEL``.

EC2 user guide, "Reference AMIs using Systems Manager parameters", and "Create a launch template", "Use a
Systems Manager parameter instead of an AMI ID". AWS documents no errors; the code, and that only parameters
of data type ``aws:ec2:image`` will do, are what EC2 was seen to answer:
https://github.com/aws/aws-cdk/issues/26712, https://github.com/aws-samples/cdk-image-pipeline/issues/290.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.ssm.models import ssm_backends

from amifactory.sandbox.ec2_world import ec2_error

if TYPE_CHECKING:
    from moto.ec2.exceptions import EC2ClientError

PREFIX = "resolve:ssm:"
IMAGE_TYPE = "aws:ec2:image"


def is_alias(image_id: str | None) -> bool:
    """Returns whether an ImageId names a parameter rather than an AMI."""
    return bool(image_id) and str(image_id).startswith(PREFIX)


def resolve_alias(backend: Any, image_id: str) -> str:
    """Returns the AMI id that an ImageId means now; what is no alias is returned as it is.

    Raises:
        EC2ClientError: SsmInvalidParameter: there is no such parameter, version or label, or it is no AMI's.
    """
    if not is_alias(image_id):
        return image_id
    parameter = _parameter(backend, image_id)
    if parameter is None:
        raise _invalid(f"The SSM parameter of {image_id} does not exist.")
    _check_type(parameter)
    return str(parameter.value)


def check_alias(backend: Any, image_id: str | None) -> None:
    """Raises when an alias in a launch template names a parameter of the wrong kind.

    That there is none is found out when the template is used.
    """
    if image_id and is_alias(image_id):
        parameter = _parameter(backend, image_id)
        if parameter is not None:
            _check_type(parameter)


def _parameter(backend: Any, image_id: str) -> Any:
    parameters = ssm_backends[backend.account_id][backend.region_name]
    try:
        return parameters.get_parameter(image_id.removeprefix(PREFIX))
    except ServiceException as error:  # an error of Systems Manager's, which EC2 would not answer
        raise _invalid(f"{error.message}") from error


def _check_type(parameter: Any) -> None:
    if parameter.data_type != IMAGE_TYPE:
        raise _invalid(
            f"Unsupported data type. The following parameter data types are supported: {IMAGE_TYPE}"
        )


def _invalid(message: str) -> EC2ClientError:
    return ec2_error("SsmInvalidParameter", message)
