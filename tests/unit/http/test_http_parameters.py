"""Parameters: every sentence of R6.7-R6.11, and values at the edges."""

import json
from collections.abc import Callable

import pytest

from tidewire.core.errors import BadRequest, MissingParameter, ParameterConflict
from tidewire.http.parameters import MAX_INTEGER, MAX_ITEM_LENGTH, MAX_LIST_ITEMS, Parameters

TIMEOUTS = ("idle_queue_timeout", "lifespan_secs")

READERS: dict[str, Callable[[Parameters], object]] = {
    "boolean": lambda parameters: parameters.boolean("X", default=False),
    "optional boolean": lambda parameters: parameters.optional_boolean("X"),
    "integer": lambda parameters: parameters.integer("X"),
    "natural": lambda parameters: parameters.integer("X", minimum=0),
    "strings": lambda parameters: parameters.strings("X"),
    "narrow": lambda parameters: parameters.narrow("X"),
    "booleans": lambda parameters: parameters.booleans("X"),
    "timeout": lambda parameters: parameters.idle_timeout("X"),
}


def read(kind: str, text: str) -> object:
    return READERS[kind](Parameters({"X": text}))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "true", True),
        ("boolean", " false ", False),
        ("optional boolean", "null", None),
        ("integer", "17", 17),
        ("integer", "-1", -1),
        ("integer", "-0", 0),
        ("integer", str(MAX_INTEGER), MAX_INTEGER),
        ("integer", str(-MAX_INTEGER - 1), -MAX_INTEGER - 1),
        ("strings", '["message","ü",""]', ("message", "ü", "")),
        ("strings", "[]", ()),
        ("strings", "null", None),
        ("narrow", '[["channel","ops"]]', (("channel", "ops"),)),
        ("narrow", "[]", ()),
        ("narrow", "null", ()),
        ("booleans", '{"a":true,"":false}', {"a": True, "": False}),
        ("booleans", "null", None),
        ("timeout", "0", 0),
        ("timeout", "null", None),
        ("timeout", "mobile", "mobile"),
        ("timeout", '"mobile"', "mobile"),
    ],
)
def test_values_are_json_texts(kind: str, text: str, value: object) -> None:
    """R6.8."""
    found = read(kind, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "True",
        "'x'",
        "[1",
        '"\\ud800"',
        "1e999",
        "NaN",
        "1 2",
        "\x00",
        "[" * 100_000,
        "9" * 5000,
        "01",
    ],
)
def test_what_is_no_json_is_refused(kind: str, text: str) -> None:
    """R6.9."""
    with pytest.raises(BadRequest, match=r"^X is not valid JSON$"):
        read(kind, text)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("boolean", "1", "X is not a boolean"),
        ("boolean", "null", "X is not a boolean"),
        ("boolean", '"true"', "X is not a boolean"),
        ("optional boolean", "0", "X is not a boolean"),
        ("integer", "true", "X is not an integer"),
        ("integer", "1.0", "X is not an integer"),
        ("integer", "1e2", "X is not an integer"),
        ("integer", '"1"', "X is not an integer"),
        ("integer", "null", "X is not an integer"),
        ("integer", "[]", "X is not an integer"),
        ("integer", str(MAX_INTEGER + 1), "X is too large"),
        ("integer", "9" * 30, "X is too large"),
        ("integer", str(-MAX_INTEGER - 2), "X is too small"),
        ("natural", "-1", "X is too small"),
        ("strings", '"message"', "X is not a list"),
        ("strings", "{}", "X is not a list"),
        ("strings", '["a",1]', "X[1] is not a string"),
        ("strings", "[null]", "X[0] is not a string"),
        ("narrow", '[["a","b"],"c"]', "X[1] is not a list"),
        ("narrow", '[["a"]]', "X[0] should have exactly 2 items"),
        ("narrow", '[["a","b","c"]]', "X[0] should have exactly 2 items"),
        ("narrow", '[["a","b"],["c",4]]', "X[1][1] is not a string"),
        ("narrow", '[{"operator":"a","operand":"b"}]', "X[0] is not a list"),
        ("booleans", "[]", "X is not a dict"),
        ("booleans", '{"a":1}', 'X["a"] is not a boolean'),
        ("booleans", '{"a":null}', 'X["a"] is not a boolean'),
        ("timeout", "-1", "X is too small"),
        ("timeout", "true", "X is not an integer"),
        ("timeout", "1.5", "X is not an integer"),
        ("timeout", '"desktop"', "X is not an integer"),
    ],
)
def test_each_problem_has_its_sentence_with_the_nested_name(kind: str, text: str, sentence: str) -> None:
    """R6.9, R6.31."""
    with pytest.raises(BadRequest) as caught:
        read(kind, text)
    assert (caught.value.message, caught.value.code) == (sentence, "BAD_REQUEST")


def test_deep_nesting_of_valid_json_is_refused_like_any_other_kind() -> None:
    with pytest.raises(BadRequest):
        read("strings", "[" * 100_000 + "]" * 100_000)


def test_lists_have_a_bound() -> None:
    """R6.9."""
    assert (
        len(Parameters({"X": str(["a"] * MAX_LIST_ITEMS).replace("'", '"')}).strings("X") or ())
        == MAX_LIST_ITEMS
    )
    with pytest.raises(BadRequest, match="X is too long"):
        read("strings", str(["a"] * (MAX_LIST_ITEMS + 1)).replace("'", '"'))


def nested(item: str, count: int = 500_000) -> str:
    return f"[{','.join([item] * count)}]"


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "text",
    [
        nested("[]"),
        nested("1"),
        f"[[{nested('{}')}]]",
        "{" + ",".join(f'"{n}":true' for n in range(100_000)) + "}",
        '["' + '\\"' * 100_000 + "," * 100_000 + '"' + ",1" * 10_000 + "]",
    ],
    ids=["lists", "numbers", "objects", "members", "behind a string"],
)
def test_nothing_is_made_of_a_text_with_too_many_values(
    kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted before it is decoded: a form has room for half a million lists."""

    class NotAsked:
        """A decoder that must not be used."""

        def decode(self, _text: str) -> object:
            """Fails."""
            raise AssertionError

    monkeypatch.setattr("tidewire.http.parameters._DECODER", NotAsked())
    with pytest.raises(BadRequest, match=r"^X is too long \(limit: 1000 items\)$"):
        read(kind, text)


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 200_000 + "," * 5000, '"' * 200_001 + "," * 5000, '"' + "," * 200_000]
)
def test_counting_takes_one_pass_whatever_the_text(text: str) -> None:
    """Quotes that never close must not make it start over at each of them: the test would take minutes."""
    with pytest.raises(BadRequest):
        read("strings", text)


def test_commas_in_strings_count_for_nothing() -> None:
    names = tuple("," * 900 + '"' for _ in range(20))
    assert Parameters({"X": json.dumps(names)}).strings("X") == names


@pytest.mark.parametrize(("kind", "items"), [("strings", '["a","%s"]'), ("narrow", '[["topic","%s"]]')])
def test_strings_in_lists_have_a_bound(kind: str, items: str) -> None:
    read(kind, items % ("é" * MAX_ITEM_LENGTH))
    with pytest.raises(BadRequest, match=r"^X\[[01]\](\[1\])? is too long \(limit: 1000 characters\)$"):
        read(kind, items % ("é" * (MAX_ITEM_LENGTH + 1)))


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("partial", "partial"), ('"partial"', "partial")]
)
def test_one_of_a_few_values(text: str, value: object) -> None:
    """R6.50."""
    options = (True, False, "partial")
    assert Parameters({"X": text}).literal("X", options) == value
    assert Parameters({}).literal("X", options) is None
    for wrong in ("1", "0", "null", '"all"', "[]"):
        with pytest.raises(BadRequest, match=r"^Invalid X$"):
            Parameters({"X": wrong}).literal("X", options)


def test_plain_strings_are_bare_and_kept_as_they_are() -> None:
    """R6.8."""
    for text in ("", " q ", '"q"', "null", "ü", "x" * 100_000):
        assert Parameters({"queue_id": text}).text("queue_id") == text


def test_a_string_may_be_too_long() -> None:
    """R6.9, R6.20."""
    parameters = Parameters({"user_client": "é" * 30})
    assert parameters.text("user_client", max_length=30) == "é" * 30
    with pytest.raises(BadRequest, match=r"^user_client is too long \(limit: 30 characters\)$"):
        Parameters({"user_client": "é" * 31}).text("user_client", max_length=30)


@pytest.mark.parametrize(
    "required", [lambda given: given.required_text("X"), lambda given: given.required_integer("X")]
)
def test_a_missing_parameter_is_named(required: Callable[[Parameters], object]) -> None:
    """R6.10."""
    with pytest.raises(MissingParameter) as caught:
        required(Parameters({}))
    assert caught.value.message == "Missing 'X' argument"
    assert (caught.value.code, caught.value.data) == ("REQUEST_VARIABLE_MISSING", {"var_name": "X"})


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("boolean", False),
        ("optional boolean", None),
        ("integer", None),
        ("strings", None),
        ("narrow", ()),
        ("booleans", None),
        ("timeout", None),
    ],
)
def test_absent_parameters_have_their_default(kind: str, default: object) -> None:
    assert READERS[kind](Parameters({})) == default


@pytest.mark.parametrize("values", [("60", "60"), ("null", "1"), ("mobile", "x")])
def test_one_parameter_under_two_of_its_names_is_a_conflict(values: tuple[str, str]) -> None:
    """R6.7."""
    with pytest.raises(ParameterConflict) as caught:
        Parameters(dict(zip(TIMEOUTS, values, strict=True))).idle_timeout(*TIMEOUTS)
    assert caught.value.message == "Can't decide between 'idle_queue_timeout' and 'lifespan_secs' arguments"
    assert caught.value.data == {"var_name1": "idle_queue_timeout", "var_name2": "lifespan_secs"}
    assert caught.value.code == "REQUEST_CONFUSING_VAR"


def test_a_parameter_may_come_under_its_older_name() -> None:
    """D11."""
    parameters = Parameters({"lifespan_secs": "90"})
    assert parameters.idle_timeout(*TIMEOUTS) == 90
    assert parameters.ignored() == []


def test_what_nobody_asked_for_is_ignored_and_named_in_order() -> None:
    """R6.11."""
    parameters = Parameters({"z": "1", "B": "1", "a": "1", "client": "x", "X": "1", "": "1"})
    assert parameters.integer("X") == 1
    assert parameters.ignored() == ["", "B", "a", "z"]


def test_asking_for_what_is_absent_or_wrong_makes_it_known() -> None:
    parameters = Parameters({"X": "wrong"})
    with pytest.raises(BadRequest):
        parameters.integer("X")
    assert parameters.ignored() == []


@pytest.mark.parametrize("key", ['a"b', "ü", "]"])
def test_names_of_an_objects_members_stand_in_the_sentence_as_they_are(key: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read("booleans", json.dumps({key: 1}))
    assert caught.value.message == f'X["{key}"] is not a boolean'
