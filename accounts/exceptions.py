"""What accounts refuses, by name.

AccountsError
    CaptchaError
        CaptchaFailed        wrong, forged, malformed or expired
        CaptchaReused        right, but it has been used before
        CaptchaUnavailable   the provider could not say; nobody gets in
    OwnerNeeded              an organisation would be left without an owner
    NotAllowed               the acting member may not do this
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
