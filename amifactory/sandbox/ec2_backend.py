"""The EC2 backend moto uses in the sandbox: its own, with real machines behind instances and AMIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models import EC2Backend

from amifactory.sandbox.ec2_launch import LaunchMixin
from amifactory.sandbox.ec2_network import NetworkMixin
from amifactory.sandbox.ec2_states import StatesMixin
from amifactory.sandbox.ec2_template_model import TemplatesMixin
from amifactory.sandbox.ec2_world import ec2_error
from amifactory.sandbox.images_backend import ImagesMixin

if TYPE_CHECKING:
    from amifactory.sandbox.ec2_world import World


class SandboxEC2(LaunchMixin, StatesMixin, ImagesMixin, NetworkMixin, TemplatesMixin, EC2Backend):
    """One account and Region of EC2; `backend_class` ties it to a world."""

    __module__ = "moto.ec2.models"  # moto finds urls.py from this

    def __init__(self, region_name: str, account_id: str) -> None:
        self.tokens: dict[tuple[str, str], tuple[Any, Any]] = {}
        self.metadata_defaults: dict[str, Any] = {}
        super().__init__(region_name, account_id)

    def once(self, operation: str, token: str | None, request: Any) -> Any:
        """Returns what an earlier call with this ClientToken made, or None.

        A token used again with other parameters is IdempotentParameterMismatch: EC2 developer guide,
        "Ensuring idempotency in Amazon EC2 API requests".
        """
        earlier = self.tokens.get((operation, token or ""))
        if not token or earlier is None:
            return None
        if earlier[0] != request:
            raise ec2_error(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous "
                "request(s).",
            )
        return earlier[1]

    def remember(self, operation: str, token: str | None, request: Any, made: Any) -> None:
        """Keeps what a call with a ClientToken made."""
        if token:
            self.tokens[operation, token] = (request, made)


def backend_class(world: World) -> type[SandboxEC2]:
    """Returns the backend class whose instances are this world's machines."""
    return type("SandboxEC2", (SandboxEC2,), {"__module__": "moto.ec2.models", "world": world})
