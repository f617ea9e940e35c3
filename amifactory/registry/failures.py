"""Why a registry gave no digest, and what to do about it, told from Docker's errors."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from amifactory.errors import MissingToolError

DOCKER_HINT = (
    "Start it (`systemctl start docker`), or point DOCKER_HOST at one; `amifactory doctor` checks it."
)
_REFUSED = ("unauthorized", "authentication required", "no basic auth credentials", "denied", "forbidden")
_GONE = ("manifest unknown", "not found", "name unknown")


@dataclass(frozen=True, kw_only=True, order=True)
class Failure:
    """One reference without a digest."""

    reference: str
    why: str
    hint: str


def explain(error: Exception, *, reference: str, host: str) -> Failure:
    """Returns what an error of Docker's client means for the reference.

    Raises:
        MissingToolError: Docker itself does not answer.
    """
    # Importing Docker's client takes 0.1 s, which most commands need not pay.
    from docker.errors import APIError, DockerException  # noqa: PLC0415
    from requests.exceptions import Timeout  # noqa: PLC0415

    if isinstance(error, APIError):
        return _explain_answer(error.status_code, str(error.explanation or error), reference, host)
    if isinstance(error, Timeout):
        return Failure(
            reference=reference, why=f"{host} did not answer in time", hint=_unreachable_hint(host)
        )
    if isinstance(error, DockerException):  # a credential helper's, above all
        hint = f"Check the credentials for {host} in Docker's config.json, and its credential helper."
        return Failure(reference=reference, why=str(error), hint=hint)
    raise MissingToolError(f"Docker does not answer: {error}", hint=DOCKER_HINT) from error


def _explain_answer(status: int | None, explanation: str, reference: str, host: str) -> Failure:
    said = explanation.lower()
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or any(word in said for word in _REFUSED):
        return Failure(
            reference=reference,
            why=f"{host} refused access: {explanation}",
            hint=f'Give factory.hcl a `registry "{host}"` block, or check the secret that it names. '
            "Some registries also refuse what does not exist.",
        )
    if status == HTTPStatus.NOT_FOUND or any(word in said for word in _GONE):
        return Failure(
            reference=reference,
            why=f"{host} has no such image or tag",
            hint="Correct `prepull` in image.hcl, or push the image.",
        )
    return Failure(
        reference=reference, why=f"{host} cannot be asked: {explanation}", hint=_unreachable_hint(host)
    )


def _unreachable_hint(host: str) -> str:
    return f"Check that this machine's Docker reaches {host}, or set `registry_mirror` in factory.hcl."
