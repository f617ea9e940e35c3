"""SSH for specs that tells a command's exit status from a connection that broke.

testinfra takes every exit status 255 for a broken connection. ssh ends with it where the connection broke,
and also where the command itself ended so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testinfra.backend.ssh import SshBackend

from amifactory.ssh import CONNECTION_LOST

if TYPE_CHECKING:
    from testinfra.backend.base import CommandResult

_MARK = b"amifactory: the command ended with 255\n"
_SAY_SO = f"ended=$?; [ $ended -ne {CONNECTION_LOST} ] || echo '{_MARK.decode().strip()}' >&2; exit $ended"
"""What the instance's shell does after a command."""


class SpecConnectionError(RuntimeError):
    """ssh could not connect to the instance, or lost the connection while a command ran."""


class SpecSshBackend(SshBackend):  # type: ignore[misc] # testinfra comes without types
    """testinfra's own, but for exit status 255."""

    def run_ssh(self, command: str) -> CommandResult:
        """Returns how the command ended.

        Raises:
            SpecConnectionError: It may not have run, or not to its end.
        """
        try:
            result = super().run_ssh(f"(\n{command}\n)\n{_SAY_SO}")
        except RuntimeError as error:
            result = error.args[0]
            said, mark, rest = result.stderr_bytes.rpartition(_MARK)
            if not mark:
                why = rest.decode(errors="replace").strip()
                raise SpecConnectionError(why or "ssh did not say why") from None
            result = self.result(CONNECTION_LOST, result.command, result.stdout_bytes, said)
        result.command = self.encode(command)
        return result
