"""The one error of fetching secrets: what is wrong, whose fault it is, and how long to wait for it."""

from __future__ import annotations

OUTAGE = 300.0
"""Seconds to wait for what passes by itself: an outage, throttling, credentials that are not there yet."""
NEW_PERMISSION = 30.0
"""Seconds to wait for a refused permission, since IAM is eventually consistent (IAM user guide)."""


class SecretError(Exception):
    """A secret could not be put in place.

    Attributes:
        why: For people to read; never holds a value.
        of: ``account`` when the account has to be mended, ``image`` when the image has to.
        patience: Seconds for which trying again may help; 0 when it cannot.
        answered: AWS said so itself, so that finding it out took as long as success would have.
    """

    def __init__(
        self, why: str, *, of: str = "account", patience: float = 0.0, answered: bool = False
    ) -> None:
        super().__init__(why)
        self.why = why
        self.of = of
        self.patience = patience
        self.answered = answered
