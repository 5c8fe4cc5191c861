"""Every reason for which a call may not start: its status, its stable code, and the sentence the caller reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    status: int
    message: str
    # Given only where waiting helps.
    retry_after_s: int | None = None


# Codes are part of the API: never renamed, and the widget knows these.
REFUSALS = {
    "agent_not_found": Wording(404, "There is no such assistant."),
    "organisation_suspended": Wording(403, "This assistant is not available."),
    "agent_paused": Wording(403, "This assistant is switched off at the moment."),
    "calls_paused": Wording(503, "Calls are paused at the moment. Please try again later.", 60),
    "restarting": Wording(503, "This server is being restarted. Please try again.", 1),
    "network_blocked": Wording(403, "Calls from your network are not accepted."),
    "model_unknown": Wording(409, "The model this assistant is set up with does not exist."),
    "model_unavailable": Wording(503, "No model can answer this call at the moment.", 60),
    "model_not_priced": Wording(503, "The model this assistant uses has no price yet."),
    "origin_not_allowed": Wording(403, "This assistant may not be called from this page."),
    "captcha_required": Wording(403, "Please confirm that you are a person."),
    "captcha_failed": Wording(403, "The check that you are a person did not succeed. Please try again."),
    "captcha_reused": Wording(403, "The check that you are a person was used before. Please repeat it."),
    "captcha_unavailable": Wording(503, "The check that you are a person cannot be made right now.", 10),
    "too_many_attempts": Wording(429, "Too many attempts from your network. Please wait a moment.", 60),
    "too_many_calls": Wording(429, "Too many calls were started from your network. Please wait a little.", 60),
    "agent_too_many_calls": Wording(429, "Too many people are calling right now. Please wait a little.", 60),
    "network_busy": Wording(429, "Other calls from your network are still running.", 15),
    "agent_busy": Wording(429, "All lines of this assistant are busy. Please try again shortly.", 15),
    "organisation_busy": Wording(429, "All lines are busy. Please try again shortly.", 15),
    "daily_ceiling_reached": Wording(429, "This assistant has reached its limit for today.", 3600),
    "out_of_credit": Wording(402, "There are not enough credits for this call."),
    "unavailable": Wording(503, "Calls cannot be started right now. Please try again shortly.", 10),
}

# Those that only the customer's own code can meet, which holds a key or a client secret; the widget never does.
CLIENT_REFUSALS = {
    "invalid_api_key": Wording(401, "This API key is not known. Send one as: Authorization: Bearer sk_parley_…"),
    "api_key_expired": Wording(401, "This API key or client secret has expired."),
    "api_key_revoked": Wording(401, "This API key has been revoked."),
    "scope_missing": Wording(403, "This API key may not be used for that."),
    "model_not_allowed": Wording(403, "This API key may not use that model."),
    "model_not_found": Wording(404, "There is no such model."),
    "model_is_voice_only": Wording(400, "This model is voice-only."),
    "rate_limit_exceeded": Wording(429, "Too many requests with this API key. Please wait a moment.", 60),
    "api_key_busy": Wording(429, "All calls that this API key may hold at once are in use.", 15),
    "api_key_budget_reached": Wording(402, "This API key has used up its budget for the month."),
    "client_secret_used_up": Wording(402, "This client secret has used up its credits."),
}


class Refusal(Exception):
    """The call may not start. `message` and `retry_after_s` are the table's unless the case has better ones."""

    def __init__(self, code: str, *, message: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(code)
        wording = REFUSALS.get(code) or CLIENT_REFUSALS[code]
        self.code = code
        self.status = wording.status
        self.message = message or wording.message
        self.retry_after_s = wording.retry_after_s if retry_after_s is None else retry_after_s
