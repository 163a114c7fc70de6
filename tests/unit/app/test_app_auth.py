"""Who lets requests in, as the settings have it."""

import pytest

from tidewire._http.bounded import Lines, Reply
from tidewire.app.auth import door
from tidewire.auth import UsersFileAuthenticator
from tidewire.config import ConfigError, load
from tidewire.observability.log import build_log
from tidewire.ports.auth import AuthGate, Credentials

USER = b'{"user": {"id": 7, "realm_id": 1, "email": "ada@test.example", "full_name": "Ada"}}'
SHOWN = Credentials(authorization=None, cookie="sid=1", host="h", is_session=True)


class Application:
    """An application in this process, which knows everybody."""

    async def post(self, _body: bytes, _headers: Lines = (), /) -> Reply:
        """Says who it is."""
        return Reply(200, USER)


def made(tmp_path: object, *kinds: str, inside: Application | None = None) -> AuthGate | None:
    quoted = ",".join(f'"{kind}"' for kind in kinds)
    settings = load(
        file=None,
        environ={},
        overrides=[
            f"auth.kind=[{quoted}]",
            "auth.http_url=http://127.0.0.1:1/",
            f"auth.users_file={tmp_path}/none",
        ],
    )
    return door(
        settings,
        authenticator=UsersFileAuthenticator(path=settings.auth.users_file, required=False),
        secret="s",
        log=build_log(form="json", level="error"),
        revoke=lambda _: None,
        inside=inside,
    )


def test_the_users_file_alone_needs_no_door(tmp_path: object) -> None:
    assert made(tmp_path, "users") is None


async def test_the_application_in_this_process_is_asked(tmp_path: object) -> None:
    found = made(tmp_path, "django", inside=Application())
    assert found is not None
    assert (await found.ask(SHOWN, 0.0)).user.id == 7
    assert found.known(SHOWN, 1.0).user.id == 7


@pytest.mark.parametrize(
    ("kinds", "inside", "problem"),
    [(["django"], None, "runtidewire"), (["django", "http"], Application(), "one application")],
)
def test_what_can_t_be_is_said(
    tmp_path: object, kinds: list[str], inside: Application | None, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        made(tmp_path, *kinds, inside=inside)
