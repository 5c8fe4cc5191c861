"""Errors as the OpenAI API words them: a status and one JSON object."""

from starlette.responses import JSONResponse


class ApiError(Exception):
    """A refusal the client can act on. `retry_after_seconds` is sent where waiting helps."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    def response(self) -> JSONResponse:
        error = {"message": self.message, "type": self._type(), "param": self.param, "code": self.code}
        headers = {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
        return JSONResponse({"error": error}, status_code=self.status, headers=headers)

    def _type(self) -> str:
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Build the error for a request that can never succeed as it stands."""
    return ApiError(400, message, param=param, code=code)
