"""Looks at the recipes, the registries and AWS, and plans which images to build."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from amifactory.domain.graph import order
from amifactory.domain.model import Recipe, SourceAmi, Target
from amifactory.domain.staleness import BuildPlan, Wanted, newest, plan_builds
from amifactory.errors import AwsError, UsageError
from amifactory.operations.lineage import (
    drain_of,
    hooks_folder,
    root_source,
    secrets_of,
    shared_folder,
    spec_folders,
)
from amifactory.packer.context import context_files, hash_files
from amifactory.registry.client import connect_docker
from amifactory.registry.resolve import resolve_digests
from amifactory.spec.digest import verification_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from amifactory.config.models import Configuration, Drain, Image
    from amifactory.domain.model import Architecture, Build, Fingerprint
    from amifactory.operations.workshop import Workshop
    from amifactory.packer.context import ContextFile

EXPLAINED = 50
"""How many changes are explained in full; a call for each of a thousand would take longer than the plan."""


def plan_images(workshop: Workshop, names: Collection[str], *, force: bool = False) -> BuildPlan:
    """Plans the named images and all they are built on; no names means all images.

    Args:
        workshop: The factory, its account and this machine.
        names: Images asked for.
        force: Build the named images whatever exists.

    Raises:
        UsageError: A name is not an image.
        AwsError: A call was refused, or a source AMI filter matches nothing.
        AmifactoryError: A container image could not be resolved.
    """
    configuration = workshop.configuration
    chosen = with_ancestors(configuration, names)
    images = [configuration.images[name] for name in chosen]
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="facts") as pool:
        builds = pool.submit(workshop.machine_images.builds, workshop.factory)
        sources = pool.submit(_source_amis, workshop, images, pool)
        digests = pool.submit(_digests, workshop, images)
        wanted = wanted_builds(configuration, images, sources.result(), digests.result())
    existing = builds.result()
    forced = {want.target for want in wanted if force and (not names or want.target.image in names)}
    return plan_builds(
        wanted,
        existing,
        now=workshop.now(),
        recipes=_earlier_recipes(workshop, wanted, existing),
        forced=frozenset(forced),
    )


def with_ancestors(configuration: Configuration, names: Collection[str]) -> tuple[str, ...]:
    """Returns the named images and all they are built on, parents first.

    Raises:
        UsageError: A name is not an image.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    parents = configuration.parents
    chosen: set[str] = set()
    for name in names or parents:
        if name not in parents:
            close = get_close_matches(name, parents, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Images: {', '.join(parents)}"
            raise UsageError(f'"{name}" is not an image of this factory', hint=hint)
        current: str | None = name
        while current and current not in chosen:
            chosen.add(current)
            current = parents[current]
    return tuple(name for name in order(parents) if name in chosen)


def wanted_builds(
    configuration: Configuration,
    images: Iterable[Image],
    sources: Mapping[tuple[str, Architecture], SourceAmi],
    digests: Mapping[str, str],
) -> tuple[Wanted, ...]:
    """Works out each target's recipe and fingerprint.

    Args:
        configuration: The factory.
        images: Images, parents first.
        sources: Source AMI by image and architecture.
        digests: Digest of every pre-pulled reference.
    """
    hashes: dict[Path, str] = {}
    shared: dict[Path, tuple[ContextFile, ...]] = {}
    specs: dict[Path, str] = {}
    wanted: dict[Target, Wanted] = {}
    for image in images:
        folders = (image.folder, shared_folder(configuration), hooks_folder(configuration))
        files = hash_files(context_files(*folders, folders=shared), cache=hashes)
        spec = verification_digest(
            spec_folders(configuration, image),
            budget=image.verify.budget,
            allow_leaks=image.verify.allow_leaks,
            known=specs,
        )
        for architecture in image.architectures:
            target = Target(image=image.name, architecture=architecture)
            parent = Target(image=image.parent, architecture=architecture) if image.parent else None
            base = wanted[parent] if parent else sources[image.name, architecture]
            recipe = Recipe(
                architecture=architecture,
                files=files,
                variables=content_variables(configuration, image),
                prepull={reference: digests[reference] for reference in image.prepull},
                parent=base.fingerprint if isinstance(base, Wanted) else base.ami_id,
            )
            wanted[target] = Wanted(
                target=target,
                recipe=recipe,
                fingerprint=recipe.fingerprint,
                spec=spec,
                root_device=base.root_device,
                parent=parent,
                source=base if isinstance(base, SourceAmi) else None,
                max_age=image.max_age,
            )
    return tuple(wanted.values())


def content_variables(configuration: Configuration, image: Image) -> dict[str, object]:
    """Returns the Packer variables that decide what is in the image, but for its pre-pulled digests."""
    build = configuration.factory.build
    return {
        "image_name": image.name,
        "ssh_username": root_source(configuration, image).ssh_username,
        "offline": build.offline,
        "tools": dict(image.tools),
        "checksums": dict(image.checksums),
        "volume_size": build.volume_size,
        "encrypt": build.encrypt,
        "kms_key_id": build.kms_key_id or "",
        "registry_mirror": build.registry_mirror or "",
        "tool_mirror": build.tool_mirror or "",
        "registry_secrets": {registry.host: registry.credentials for registry in build.registries},
        "secrets": json.dumps(
            [secret.model_dump(mode="json") for secret in secrets_of(configuration, image)]
        ),
        "drain": _drain(drain_of(configuration, image)),
    }


def _drain(drain: Drain | None) -> str:
    if drain is None:
        return ""
    return json.dumps({**drain.model_dump(mode="json"), "timeout": drain.timeout.total_seconds()})


def _source_amis(
    workshop: Workshop, images: Sequence[Image], pool: ThreadPoolExecutor
) -> dict[tuple[str, Architecture], SourceAmi]:
    """Looks every distinct source AMI up once."""
    wanted = {
        (image.name, architecture): (image.source.owner, image.source.name[architecture], architecture)
        for image in images
        if image.source
        for architecture in image.architectures
    }
    find = workshop.machine_images.newest_source
    found = {
        query: pool.submit(find, owner=query[0], name=query[1], architecture=query[2])
        for query in set(wanted.values())
    }
    sources: dict[tuple[str, Architecture], SourceAmi] = {}
    for (image, architecture), query in wanted.items():
        source = found[query].result()
        if source is None:
            owner, name, _ = query
            raise AwsError(
                f'images/{image}/image.hcl: no {architecture} AMI of owner {owner} is named "{name}"'
                f" in {workshop.session.region}",
                hint=f"Run: aws ec2 describe-images --owners {owner} --query 'Images[].Name'",
            )
        sources[image, architecture] = source
    return sources


def _digests(workshop: Workshop, images: Iterable[Image]) -> Mapping[str, str]:
    references = sorted({reference for image in images for reference in image.prepull})
    registries = {
        registry.host: registry.credentials for registry in workshop.configuration.factory.build.registries
    }

    def credentials(host: str) -> tuple[str, str] | None:
        return workshop.secrets.credentials(registries[host]) if host in registries else None

    return resolve_digests(
        references,
        mirror=workshop.mirror,
        credentials=credentials,
        client_factory=lambda: connect_docker(workshop.environment),
    )


def _earlier_recipes(
    workshop: Workshop, wanted: Iterable[Wanted], existing: Iterable[Build]
) -> dict[Fingerprint, Recipe]:
    """Fetches the recipes that explain a change, parents' first: a call each, and none without a change."""
    last = newest(existing)
    changed = [
        last[want.target].fingerprint
        for want in wanted
        if want.target in last and not last[want.target].made_from(want.fingerprint)
    ]
    asked = list(dict.fromkeys(changed))[:EXPLAINED]
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="recipes") as pool:
        found = zip(asked, pool.map(workshop.bucket.recipe, asked), strict=True)
        return {fingerprint: recipe for fingerprint, recipe in found if recipe is not None}
