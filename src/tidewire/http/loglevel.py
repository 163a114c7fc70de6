"""The log's level, to be asked for and to be changed while the server runs."""

from starlette.requests import Request

from tidewire.core.errors import BadRequest, NotFound
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.internal import internal_parameters
from tidewire.http.site import Site
from tidewire.log_control import LEVELS


async def loglevel(request: Request, site: Site) -> Answer:
    """`POST /api/internal/loglevel`: changes the level to `level`, if that is given, and says what it is.

    Raises:
        BadRequest: there is no such level.
        NotFound: the log of this server can't be changed.
    """
    parameters = await internal_parameters(request, site)
    level = parameters.text("level")
    control = site.log_control
    if control is None:
        raise NotFound("Not Found")
    before = control.level
    if level is not None:
        if level not in LEVELS:
            raise BadRequest(f"Invalid level: one of {', '.join(LEVELS)}")
        control.change(level)
    payload = {"level": control.level, "before": before}
    return answers.success(payload, ignored=parameters.ignored())
