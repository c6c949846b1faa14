"""Who may change what: the owner of a thing, or who may deploy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .identity import Forbidden, Identity

OWNER_TAG = "mlflow.user"
# The owner of what is not there.
MISSING: Any = object()
# With these, an artifact's place could be read in two ways: MLflow decodes it and drops what ends it.
TWO_WAYS = frozenset("\\%?#;\0")


@dataclass(frozen=True)
class Rights:
    """The rules, as the operator set them."""

    deployers: str = "deployers"  # a group of the hub
    protected_aliases: frozenset[str] = frozenset({"champion"})

    def may_deploy(self, identity: Identity) -> bool:
        """Whether the identity decides what is in production."""
        return identity.is_admin or self.deployers in identity.groups

    def require_change(self, identity: Identity, what: str, owner: str | None) -> None:
        """Refuse whoever neither owns the thing nor may deploy."""
        if owner != identity.name and not self.may_deploy(identity):
            whose = f"belongs to {owner}" if owner else "belongs to nobody"
            raise Forbidden(
                f"{what} {whose}; only the owner, the group {self.deployers} and admins change it, "
                f"and you are {identity.name}"
            )

    def require_deployer(self, identity: Identity, what: str) -> None:
        """Refuse whoever may not decide about production."""
        if not self.may_deploy(identity):
            raise Forbidden(
                f"{what}: that is for the group {self.deployers} and admins, and you are {identity.name}"
            )

    def require_admin(self, identity: Identity, what: str) -> None:
        """Refuse everybody but admins."""
        if not identity.is_admin:
            raise Forbidden(f"{what} is for admins only, and you are {identity.name}")

    def is_protected(self, alias: str) -> bool:
        """Whether an alias says what is in production."""
        return alias in self.protected_aliases

    def protected(self, aliases: Iterable[str]) -> list[str]:
        """Return those of some aliases that say what is in production."""
        return sorted(alias for alias in aliases if self.is_protected(alias))
