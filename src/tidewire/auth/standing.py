"""What every kind of credentials comes down to: an account in good standing, or the error that says what it lacks."""

from tidewire.core.errors import BadRequest, UserDeactivated
from tidewire.core.users import Role, User


def admissible(user: User) -> User:
    """The user, who may ask.

    Raises:
        UserDeactivated: the account is switched off.
        BadRequest: it is an incoming-webhook bot's.
    """
    if not user.active:
        raise UserDeactivated("Account is deactivated")
    if user.role is Role.WEBHOOK_BOT:
        raise BadRequest("This API is not available to incoming webhook bots.")
    return user


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8, as every later use of it will have to; half of a surrogate pair can't."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
