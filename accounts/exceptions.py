"""What accounts refuses, by name.

AccountsError
    CaptchaError
        CaptchaFailed        wrong, forged, malformed or expired
        CaptchaReused        right, but it has been used before
        CaptchaUnavailable   the provider could not say; nobody gets in
    OwnerNeeded              an organisation would be left without an owner
    NotAllowed               the acting member may not do this
    KeyRefused               code: invalid_api_key, api_key_expired, api_key_revoked, organisation_suspended
    InvalidKeySetting        a new key's name, scopes or limits are not acceptable
    InvitationRefused        code: unknown, expired, used, other_address, already_member, too_many
"""


class AccountsError(Exception):
    pass


class CaptchaError(AccountsError):
    pass


class CaptchaFailed(CaptchaError):
    pass


class CaptchaReused(CaptchaError):
    pass


class CaptchaUnavailable(CaptchaError):
    pass


class OwnerNeeded(AccountsError):
    pass


class NotAllowed(AccountsError):
    pass


class InvitationRefused(AccountsError):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class KeyRefused(AccountsError):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class InvalidKeySetting(AccountsError):
    """`message` is a sentence for the customer about `field`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field, self.message = field, message
