"""Messages over HTTP, from a publisher to clients of different kinds (R4.8-R4.19), and the settings that shape them."""

import json

import pytest

from support.messages import message
from support.server_process import StartServer

pytestmark = pytest.mark.slow


def test_each_client_gets_its_own_kind_of_message_as_the_settings_say(start_server: StartServer) -> None:
    server = start_server(
        "compat.realm_host=site.example",
        "compat.avatar_salt=avatarsalt0123456789",
        "compat.narrow_hears_public_channels=true",
    )
    rendered = server.register("ada", apply_markdown=True, client_gravatar=False)
    narrowed = server.register("bob", narrow=json.dumps([["channel", "OPS"]]))
    hidden = {"user_ids_without_access_to_sender": [2], "internal_data": {"secret": 1}}
    event = message(hidden, sender_id=9, sender_avatar_source="U", sender_realm_id=2)
    users = [{"id": 1, "flags": ["mentioned"], "mentioned_user_group_id": None}]
    assert server.publish({"event": event, "users": users}).status == 200

    (ada,), (bob,) = server.events("ada", rendered), server.events("bob", narrowed)
    name = "e38c7a016badca7fac1d1ea81911dcbb17f7c847"
    assert ada["message"]["content"] == "<p><em>done</em></p>"
    assert ada["message"]["avatar_url"] == f"/user_avatars/2/{name}.png?version=2"
    assert bob["message"]["content"] == "*done*"
    assert bob["message"]["sender_email"] == "user9@site.example"
    assert (ada["flags"], bob["flags"]) == (["mentioned"], [])
    assert "secret" not in json.dumps([ada, bob])
    # None of the settings is one of those that the server says it does not act on yet.
    assert "no effect" not in server.log


def test_a_message_that_could_never_be_delivered_is_refused(start_server: StartServer) -> None:
    server = start_server()
    answer = server.publish({"event": {"type": "message"}, "users": [1]})
    assert (answer.status, answer.json["code"], answer.json["index"]) == (400, "INVALID_NOTICE", 0)
    assert "message_dict" in answer.json["msg"]
