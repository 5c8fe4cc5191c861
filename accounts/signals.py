"""What accounts tells the apps above it, which it does not know."""

from django.dispatch import Signal

# organisation_id: UUID. A wallet is opened for it.
organisation_created = Signal()
# organisation_id: UUID. Its live calls end at once.
organisation_suspended = Signal()
# api_key_id: UUID. Its live calls end at once.
api_key_revoked = Signal()
# organisation_id: UUID, person_key: str, a keyed hash of the normalised address. Credits are granted once per person.
person_verified = Signal()
