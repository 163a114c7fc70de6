"""Who a request of the ordinary routes comes from."""

from starlette.requests import Request

from tidewire.core.users import User
from tidewire.http.admission import admit_user
from tidewire.http.noting import note_of
from tidewire.http.site import Site


async def authenticated(request: Request, site: Site) -> User:
    """The user that the request's credentials name (R6.2, R6.3), who does not ask too often (R6.13)."""
    return admit_user(note_of(request), site)
