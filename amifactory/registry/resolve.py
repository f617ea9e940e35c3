"""Which digest each container image reference stands for now, asked of the registries through Docker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from amifactory.domain.references import DOCKER_HUB, Reference, parse_reference
from amifactory.errors import AmifactoryError
from amifactory.registry.failures import Failure, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_AT_ONCE = 8
_PORTS = {"http": 80, "https": 443}


class RegistryData(Protocol):
    """What a registry says of one reference."""

    @property
    def id(self) -> str:
        """Returns the digest."""


class Images(Protocol):
    """The part of Docker's image collection that is used."""

    def get_registry_data(self, name: str, auth_config: dict[str, str] | None = None) -> RegistryData:
        """Asks the registry; without credentials Docker uses those of its own ``config.json``."""


class Client(Protocol):
    """The part of `docker.DockerClient` that is used."""

    @property
    def images(self) -> Images:
        """Returns the image collection."""

    def close(self) -> None:
        """Closes the connection."""


Credentials = tuple[str, str]
"""User name and password."""


class UnresolvedError(AmifactoryError):
    """References that could not be resolved; ``failures`` has each with its reason."""

    def __init__(self, failures: Iterable[Failure]) -> None:
        self.failures = tuple(sorted(failures))
        hints = dict.fromkeys(failure.hint for failure in self.failures)
        super().__init__(
            "\n".join(f'container image "{failure.reference}": {failure.why}' for failure in self.failures),
            hint="\n".join(hints),
        )


@dataclass(frozen=True, kw_only=True)
class _Question:
    text: str
    name: str
    host: str


def resolve_digests(
    references: Iterable[str],
    *,
    mirror: str | None,
    credentials: Callable[[str], Credentials | None],
    client_factory: Callable[[], Client],
) -> Mapping[str, str]:
    """Returns each reference's digest; one that carries a digest stands for itself and is not looked up.

    Args:
        mirror: Docker Hub's stand-in, such as ``https://mirror.example.com``.
        credentials: Returns what to log in to a registry host with, if anything.
        client_factory: Connects to Docker; called only when there is something to look up.

    Raises:
        UnresolvedError: Some references have no digest; all of them are named.
        MissingToolError: Docker does not answer.
    """
    digests: dict[str, str] = {}
    questions: list[_Question] = []
    failures: list[Failure] = []
    for text in sorted(set(references)):
        try:
            reference = parse_reference(text)
        except ValueError as error:
            failures.append(Failure(reference=text, why=str(error), hint="Correct it in image.hcl."))
            continue
        if reference.digest:
            digests[text] = reference.digest
        else:
            questions.append(_question(text, reference, mirror))
    answers = _ask_all(questions, credentials, client_factory) if questions else {}
    for text, answer in answers.items():
        if isinstance(answer, Failure):
            failures.append(answer)
        else:
            digests[text] = answer
    if failures:
        raise UnresolvedError(failures)
    return digests


def mirror_prefix(mirror: str) -> str:
    """Returns a mirror's URL as the beginning of a reference: ``http://mirror`` is ``mirror:80``."""
    scheme, separator, rest = mirror.rstrip("/").partition("://")
    if not separator:
        scheme, rest = "https", scheme
    host, slash, path = rest.partition("/")
    if "." not in host and ":" not in host and host != "localhost":
        host = f"{host}:{_PORTS.get(scheme, 443)}"
    return f"{host}{slash}{path}"


def _question(text: str, reference: Reference, mirror: str | None) -> _Question:
    if mirror and reference.host == DOCKER_HUB:
        reference = replace(reference, host=mirror_prefix(mirror))
    return _Question(text=text, name=str(reference), host=reference.host.partition("/")[0])


def _ask_all(
    questions: Iterable[_Question],
    credentials: Callable[[str], Credentials | None],
    client_factory: Callable[[], Client],
) -> Mapping[str, str | Failure]:
    questions = tuple(questions)
    logins = {host: credentials(host) for host in sorted({question.host for question in questions})}
    client = client_factory()
    try:
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(questions))) as pool:
            answers = pool.map(lambda asked: _ask(client, asked, logins[asked.host]), questions)
            return {asked.text: answer for asked, answer in zip(questions, answers, strict=True)}
    finally:
        client.close()


def _ask(client: Client, question: _Question, login: Credentials | None) -> str | Failure:
    # Importing Docker's client takes 0.1 s, which most commands need not pay.
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    auth = {"username": login[0], "password": login[1]} if login else None
    try:
        return client.images.get_registry_data(question.name, auth_config=auth).id
    except (DockerException, RequestException) as error:
        return explain(error, reference=question.text, host=question.host)
