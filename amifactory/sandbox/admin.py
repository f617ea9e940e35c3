"""What a person asks of a running sandbox that is not an AWS call. Light to import."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from amifactory.errors import UsageError
from amifactory.sandbox.state import StateFolder

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 10


def give_notice(root: Path, **request: object) -> dict[str, Any]:
    """Gives an instance notice; returns what its metadata has from now on, by path.

    Args:
        root: The factory whose sandbox runs.
        request: See `amifactory.sandbox.notify.Request`.

    Raises:
        UsageError: The sandbox does not run, or will not do it.
    """
    state = StateFolder(root=root).read()
    if state is None:
        raise UsageError("the sandbox does not run", hint="amifactory sandbox up")
    asked = urllib.request.Request(  # noqa: S310 - the sandbox's own address
        f"{state.endpoint}/amifactory/notices", method="POST", data=json.dumps(request).encode()
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(asked, timeout=SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise UsageError(str(json.load(error)["error"])) from error
    except OSError as error:
        raise UsageError(f"the sandbox does not answer: {error}", hint="amifactory sandbox up") from error
    return found
