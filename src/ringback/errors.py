"""The closed vocabulary of errors that a client can see: class, status, wire code, wire text.

Every answer of an error is `{"message": text, "errors": [{"field", "message", "code"}]}`, rendered in one place
(`rest/replies.py`). Code that finds something wrong raises one of these; nothing else becomes a 4xx.
"""

from collections.abc import Sequence
from dataclasses import dataclass

NOT_VALID = "SF0010"
REQUIRED = "This value is required."
"""The message of a fault that names what is missing; clients tell it from a wrong value by this alone."""
LOGIN_FAILED = "AU1003"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request. `field` is a path such as `users[2]` or None for the request as a whole."""

    field: str | None
    message: str = "This value is not valid."
    code: str = NOT_VALID


class RingbackError(Exception):
    """The root. `status` is the HTTP status; `message` is shown to the caller."""

    status = 500
    message = "Something went wrong here. The log has the details under this request id."

    def __init__(
        self,
        message: str | None = None,
        faults: Sequence[Fault] = (),
        *,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.message = message or self.message
        self.faults = tuple(faults)
        self.headers = tuple(headers)
        super().__init__(self.message, self.faults)


class Invalid(RingbackError):
    """The request's content is wrong; `faults` names everything that is."""

    status = 400
    message = "Validation error"


class FiltrationError(Invalid):
    """A filter, sort or page that cannot be understood (the wire text is the one that clients know)."""

    message = "Filtration error"


class LoginRefused(RingbackError):
    """Wrong credentials or too many tries. Clients take any status but 400 for maintenance."""

    status = 400
    message = "Invalid email or password."

    def __init__(self, message: str | None = None, *, field: str = "email", retry_after_s: int | None = None) -> None:
        headers = [] if retry_after_s is None else [("Retry-After", str(retry_after_s))]
        text = message or self.message
        super().__init__(text, [Fault(field, text, LOGIN_FAILED)], headers=headers)


class BadCredentialsHeader(RingbackError):
    """An Authorization header that does not split into user and token."""

    status = 400
    message = "Failed to parse Authorization header credentials"


class Unauthorized(RingbackError):
    status = 401
    message = "Unauthorized. Send a valid token in X-Auth-Token; POST /login gives one."


class Forbidden(RingbackError):
    """The record or operation exists for this customer, but role or policy forbids it."""

    status = 403
    message = "Access denied"


class Held(Forbidden):
    """A legal hold keeps the record from being deleted."""

    message = "A legal hold keeps this record."


class NotFound(RingbackError):
    """Unknown, or another customer's: the two cannot be told apart."""

    status = 404
    message = "Resource not found"


class MethodNotAllowed(RingbackError):
    status = 405
    message = "Method not allowed"


class NoPhoneOnline(RingbackError):
    status = 412
    message = "Unable to make a call with no VoIP clients registered"


class TooLarge(RingbackError):
    status = 413
    message = "The request body is too large."


class UnsupportedMediaType(RingbackError):
    status = 415
    message = "Send the body as application/json."


class UpgradeRequired(RingbackError):
    """A WebSocket that was asked for as if it were a page."""

    status = 426
    message = "This is a WebSocket: open it as one."

    def __init__(self) -> None:
        super().__init__(headers=[("Upgrade", "websocket"), ("Connection", "Upgrade")])


class RangeNotSatisfiable(RingbackError):
    status = 416
    message = "The requested range lies outside of the file."


class Unavailable(RingbackError):
    """Something that we depend on is away, full or busy; the same request may work later."""

    status = 503
    message = "The service is busy. Try again shortly."

    def __init__(self, message: str | None = None, *, retry_after_s: int = 5) -> None:
        super().__init__(message, headers=[("Retry-After", str(retry_after_s))])


class TooSlow(Unavailable):
    """A query that no index serves ran into its time limit."""

    message = (
        "This query takes too long. Narrow the dates (filter calldate or created_at), or filter by fewer attributes."
    )


class UsageError(Exception):
    """A command or a configuration that cannot work; the text tells the operator what to do. Never an HTTP answer."""
