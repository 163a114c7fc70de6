"""Who a request of the ordinary routes comes from."""

from starlette.requests import Request

from tidewire.core.errors import WireError
from tidewire.core.users import User
from tidewire.http.admission import admit_anybody, admit_user_asking
from tidewire.http.noting import note_of
from tidewire.http.origin import check_origin
from tidewire.http.site import Site


async def authenticated(request: Request, site: Site) -> User:
    """The user that the request's credentials name (R6.2, R6.3), who does not ask too often (R6.13).

    Raises:
        WireError: they name nobody who may ask.
    """
    return await admit_user_asking(note_of(request), site)


def check_own_page(request: Request, site: Site) -> None:
    """Refuses a request by browser session that a page of another site may have begun.

    Raises:
        CsrfFailed: so it may be.
    """
    note = note_of(request)
    try:
        check_origin(note, site.session_origins)
    except WireError:
        admit_anybody(note, site)
        raise
