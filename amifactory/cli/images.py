"""``amifactory images``."""

from __future__ import annotations

import click

from amifactory.cli.app import App, image_names, now, pass_app
from amifactory.cli.output import age, build_json, print_json, print_table, short_fingerprint

HEADERS = ("IMAGE", "ARCH", "AMI", "VERDICT", "FINGERPRINT", "PARENT", "AGE")


@click.command()
@click.argument("names", metavar="[IMAGES]...", nargs=-1, shell_complete=image_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def images(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """List the builds that exist, newest first for each image.

    \b
    Examples:
      amifactory images
      amifactory images node --json
    """
    from amifactory.operations.plan import with_ancestors  # noqa: PLC0415

    with_ancestors(app.recorded, names)  # refuses a name that is no image
    found = app.workshop.machine_images.builds(app.configuration.factory.name)
    builds = sorted(
        (build for build in found if not names or build.target.image in names),
        key=lambda build: (build.target, -build.created_at.timestamp()),
    )
    if as_json:
        print_json({"builds": [build_json(build) for build in builds]})
        return
    rows = [
        (
            build.target.image,
            build.target.architecture.value,
            build.ami_id,
            build.verdict.value,
            short_fingerprint(build.fingerprint),
            build.parent,
            age(build.created_at, now()),
        )
        for build in builds
    ]
    print_table(HEADERS, rows)
    if not builds:
        click.echo("No builds yet. Run: amifactory build", err=True)
