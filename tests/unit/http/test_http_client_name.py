"""The client's name and version, from a parameter or the User-Agent (R6.20-R6.23)."""

import pytest

from tidewire.http.parameters import MAX_LENGTH, UNPARSABLE, client_of, knows_pronouns, parse_user_agent


@pytest.mark.parametrize(
    ("header", "name", "version"),
    [
        ("ZulipPython/0.9.1 (Debian; 12)", "ZulipPython", "0.9.1"),
        ("ZulipMobile/27.230 (Android 14)", "ZulipMobile", "27.230"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla", None),
        ("curl/8.5", "curl", None),
        ("Zulip Desktop/5.1 x", "Zulip Desktop", "5.1"),
        ("ZulipTerminal", "ZulipTerminal", None),
        ("ZulipElectron/5.9/extra", "ZulipElectron", "5.9"),
        ("My Bot 2 of 3", "My Bot", None),
        ("Zulip(beta)/1", "Zulip(beta)", "1"),
        ("/1.0", "Unspecified", None),
        ("", "Unspecified", None),
        ("   ", "Unspecified", None),
        ("\xff\xfe/1", "\xff\xfe", None),
    ],
)
def test_user_agent_gives_name_and_the_version_of_zulip_clients_only(
    header: str, name: str, version: str | None
) -> None:
    """R6.21."""
    assert parse_user_agent(header) == (name, version)


def test_parameter_wins_over_user_agent_and_is_taken_verbatim() -> None:
    """R6.20."""
    assert client_of(" My/Own (1)", "curl/8.5").name == " My/Own (1)"


@pytest.mark.parametrize(("parameter", "user_agent"), [(None, None), ("", None), (None, ""), ("", "")])
def test_no_name_anywhere_is_unspecified(parameter: str | None, user_agent: str | None) -> None:
    """R6.20."""
    assert client_of(parameter, user_agent).name == "Unspecified"


def test_names_are_cut_to_thirty_characters() -> None:
    """R6.20."""
    assert MAX_LENGTH == 30
    assert client_of("é" * 31, None).name == "é" * 30
    assert client_of(None, "x" * 1_000_000).name == "x" * 30


def test_the_version_goes_with_the_name_that_it_came_with() -> None:
    """R6.20, R6.21."""
    assert client_of(None, "ZulipPython/0.9.1 (Debian; 12)") == ("ZulipPython", "0.9.1")
    assert client_of("ZulipPython", "ZulipPython/0.9.1") == ("ZulipPython", "0.9.1")
    assert client_of("bridge", "ZulipPython/0.9.1") == ("bridge", None)


@pytest.mark.parametrize("parameter", ["a\nb", "\x1b[2J", "\u202ea", "\x00"])
def test_a_name_that_is_no_line_of_text_is_unparsable(parameter: str) -> None:
    """R6.20."""
    assert client_of(parameter, "curl/8.5") == UNPARSABLE == ("Unparsable", None)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [("Mozilla/5.0 (X11)", "website"), (None, "website"), ("ZulipElectron/5.9", "ZulipElectron")],
)
def test_a_browser_is_the_web_site(user_agent: str | None, name: str) -> None:
    """R6.22."""
    assert client_of(None, user_agent, browser=True).name == name


@pytest.mark.parametrize(
    ("user_agent", "knows"),
    [
        (None, True),
        ("", True),
        ("ZulipMobile/27.191 (Android 14)", False),
        ("ZulipMobile/27.192 (Android 14)", True),
        ("ZulipMobile/28.0", True),
        ("ZulipMobile/26.999", False),
        ("ZulipMobile/27.19", False),
        ("ZulipMobile", True),
        ("ZulipMobile/flutter", True),
        ("ZulipMobile/27", True),
        ("ZulipPython/0.9.1", True),
        ("OtherMobile/1.0", True),
    ],
)
def test_only_older_mobile_apps_dont_know_pronouns(user_agent: str | None, knows: bool) -> None:
    """R6.23."""
    assert knows_pronouns(user_agent) is knows


@pytest.mark.parametrize("version", ["9" * 5000 + ".1", "27." + "9" * 5000])
def test_a_version_with_more_digits_than_python_converts_is_no_failure(version: str) -> None:
    """R6.23: whatever such a version is, it is not an older one."""
    assert knows_pronouns(f"ZulipMobile/{version}")
