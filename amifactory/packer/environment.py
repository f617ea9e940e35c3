"""The environment Packer gets: named variables only, so that no build depends on a shell's leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("PACKER_CONFIG_DIR", "PACKER_PLUGIN_PATH", "PACKER_GITHUB_API_TOKEN"),
    }
)
"""Plugins stay where the user's own Packer looks for them, so that ``packer build .`` works by hand too."""


def packer_environment(
    environ: Mapping[str, str], *, aws: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """Returns what Packer is run with.

    Args:
        environ: The environment amifactory was started in.
        aws: ``AWS_*`` variables to use in place of those of ``environ``; none of them is then kept,
            so that a profile or session token cannot mix with other credentials.
    """
    kept = {name: value for name, value in environ.items() if name in _PASSED_ON}
    if aws is None:
        aws = {name: value for name, value in environ.items() if name.startswith("AWS_")}
    return {**kept, **aws, "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
