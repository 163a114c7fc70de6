"""The settings of what the server has from an application: who its users are, and their state."""

from tidewire.config.plugins import PATTERN
from tidewire.config.setting import Setting
from tidewire.config.types import Choice, Choices, File, Flag, Integer, ListOf, Text

URL = r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?"
"""Without credentials, which would stand in logs."""

ORIGIN = Text(expected='origins such as "https://chat.example"', pattern=r"https?://[^/\s]+")

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SHARED_ALGORITHMS = ("HS256", "HS384", "HS512")

AUTH = (
    Setting(
        name="auth.kind",
        kind=Choices(("users", "http", "jwt", "django")),
        default=("users",),
        meaning="Who judges what a request shows: the users file (HTTP Basic), the application over HTTP (cookies, and any `Authorization`), the signature of a token (Bearer), or the Django project in whose process the server runs (`manage.py runtidewire`).",
    ),
    Setting(
        name="auth.users_file",
        kind=File(),
        default="users.toml",
        meaning="The file of realms and users; it is read again when it changes. It may be missing when `auth.kind` is without `users`.",
    ),
    Setting(
        name="auth.session_origins",
        kind=ListOf(ORIGIN),
        default=(),
        meaning="The origins whose pages may use browser sessions, beside the one that the request's `Host` names.",
    ),
    Setting(
        name="auth.http_url",
        kind=Text(
            expected="an address such as http://127.0.0.1:8000/whoami/, or an empty string",
            pattern=f"(?:{URL})?",
        ),
        default="",
        meaning="Where the application is asked who a request comes from, with the request's credentials and the shared secret.",
    ),
    Setting(
        name="auth.http_timeout",
        kind=Integer(minimum=1, maximum=30),
        default=5,
        meaning="How long one request to `auth.http_url`, or to an address of keys, may take.",
        unit="seconds",
    ),
    Setting(
        name="auth.http_cache_ttl",
        kind=Integer(minimum=1, maximum=300),
        default=30,
        meaning="How long the application's word about a request holds for others with the same credentials; a revoked session ends at once.",
        unit="seconds",
    ),
    Setting(
        name="auth.http_cookies",
        kind=ListOf(Text(expected="names of cookies", pattern=r"[!#-+\--:<>-~]+")),
        default=(),
        meaning="The cookies that are passed on to the application; an empty list passes all on, and asks again whenever any of them changes.",
    ),
    Setting(
        name="auth.jwt_audience",
        kind=Text(),
        default="",
        meaning="What the `aud` of a token must name.",
    ),
    Setting(
        name="auth.jwt_keys",
        kind=ListOf(
            Text(
                expected='entries such as "https://id.example https://id.example/jwks.json"',
                pattern=rf"\S+ +{URL}",
            )
        ),
        default=(),
        meaning="The issuers that count, each with the address of its keys (JWKS), separated by a space.",
    ),
    Setting(
        name="auth.jwt_issuer",
        kind=Text(),
        default="",
        meaning="An issuer whose key is given here, in `auth.jwt_key` or `auth.jwt_key_file`.",
    ),
    Setting(
        name="auth.jwt_key",
        kind=Text(),
        default="",
        meaning="The key of `auth.jwt_issuer`: a shared secret, or a public key in PEM.",
        private=True,
    ),
    Setting(
        name="auth.jwt_key_file",
        kind=File(optional=True),
        default="",
        meaning="The file that holds the key of `auth.jwt_issuer`.",
    ),
    Setting(
        name="auth.jwt_algorithms",
        kind=ListOf(Choice((*ALGORITHMS, *SHARED_ALGORITHMS))),
        default=("RS256", "ES256", "EdDSA"),
        meaning="The algorithms that tokens may be signed with; a shared secret needs one that begins with HS.",
    ),
    Setting(
        name="auth.jwt_user_claim",
        kind=Text(expected="the name of a claim", pattern=r"\S+"),
        default="sub",
        meaning="The claim that holds the user's id.",
    ),
    Setting(
        name="auth.jwt_realm_claim",
        kind=Text(expected="the name of a claim", pattern=r"\S+"),
        default="realm_id",
        meaning="The claim that holds the realm's id, for users whom the users file does not know.",
    ),
)

STATE = (
    Setting(
        name="state.modules",
        kind=ListOf(Text(expected="names such as module:NAME", pattern=PATTERN)),
        default=(),
        meaning="The application's own state providers, each a provider, a list of them, or a function that gives them; modules are looked for among the installed ones, then in the working directory.",
    ),
    Setting(
        name="state.callback_url",
        kind=Text(
            expected="an address such as http://127.0.0.1:8000/state/, or an empty string",
            pattern=f"(?:{URL})?",
        ),
        default="",
        meaning="Where the application is asked for the initial state, with the shared secret; empty when it is not.",
    ),
    Setting(
        name="state.callback_timeout",
        kind=Integer(minimum=1, maximum=60),
        default=5,
        meaning="How long one request to `state.callback_url` may take.",
        unit="seconds",
    ),
    Setting(
        name="state.callback_attempts",
        kind=Integer(minimum=1, maximum=5),
        default=2,
        meaning="How often a request to `state.callback_url` that failed is made, in all.",
        unit="attempts",
    ),
    Setting(
        name="state.callback_max_bytes",
        kind=Integer(minimum=1024),
        default=16_777_216,
        meaning="How large an answer of `state.callback_url` may be.",
        unit="bytes",
    ),
    Setting(
        name="state.timeout",
        kind=Integer(minimum=1, maximum=80),
        default=10,
        meaning="How long reading the initial state may take, with all attempts; then the queue is ended and the client told to try again.",
        unit="seconds",
    ),
    Setting(
        name="state.defaults",
        kind=Flag(),
        default=True,
        meaning="Whether `register` answers with what published clients look for, from the users file and otherwise empty, where the application provides nothing.",
    ),
    Setting(
        name="state.max_users",
        kind=Integer(minimum=0),
        default=500,
        meaning="Up to how many people of a realm the users file is answered with to clients that don't ask for `realm_user` by name, but for everything: one takes some 250 bytes in each answer, and after a restart everybody registers at once. Who names it gets all people.",
        unit="people",
    ),
)
