"""Stand-ins for hidden senders (R4.12)."""

import pytest

from tidewire.core.events.presentation import Presentation


@pytest.mark.parametrize(
    ("named", "configured", "domain"),
    [
        ("acme.example", "", "acme.example"),
        ("acme.example", "chat.example", "acme.example"),
        ("bücher.example", "", "bücher.example"),
        ("a-b.chat.example", "", "a-b.chat.example"),
        (None, "chat.example", "chat.example"),
        ("", "chat.example", "chat.example"),
        ("localhost:9991", "chat.example", "chat.example"),
        ("acme.example\n", "chat.example", "chat.example"),
        ("-acme.example", "chat.example", "chat.example"),
        ("acme..example", "chat.example", "chat.example"),
        ("10.0.0.1", "chat.example", "chat.example"),
        (f"{'a' * 64}.example", "chat.example", "chat.example"),
        (".".join(["a" * 60] * 5), "chat.example", "chat.example"),
        ("localhost", "", "hidden.invalid"),
        (None, "chat.example:9991", "hidden.invalid"),
        (None, "", "hidden.invalid"),
    ],
)
def test_the_first_host_that_could_have_mail_is_in_the_stand_in_address(
    named: str | None, configured: str, domain: str
) -> None:
    assert Presentation(realm_host=configured).stand_in_email(7, named) == f"user7@{domain}"
