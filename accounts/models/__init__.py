"""People, the organisations they belong to, and how they came in."""

from accounts.models.api_key import ApiKey, Scope
from accounts.models.invitation import Invitation
from accounts.models.membership import Membership, Role
from accounts.models.organisation import Organisation
from accounts.models.user import User

__all__ = ["ApiKey", "Invitation", "Membership", "Organisation", "Role", "Scope", "User"]
