"""Host names as they compare."""

import pytest

from tidewire.auth.credentials import comparable


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("demo.example", "demo.example"),
        ("Demo.EXAMPLE:9800", "demo.example"),
        ("demo.example.", "demo.example"),
        ("demo.example.:80", "demo.example"),
        ("demo.example:", "demo.example"),
        (" demo.example ", "demo.example"),
        ("[::1]:9800", "::1"),
        ("[::1]", "::1"),
        ("[::1", "::1"),
        ("::1", "::1"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("demo.example:http", "demo.example:http"),
        (":80", ":80"),
        ("", ""),
    ],
)
def test_port_brackets_case_and_the_last_dot_do_not_count(host: str, name: str) -> None:
    assert comparable(host) == name
