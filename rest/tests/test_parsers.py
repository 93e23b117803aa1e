"""Hostile JSON: every case is a 400 with a sentence, and none is a 500."""

import io
import json
from typing import Any

import pytest
from rest_framework.test import APIRequestFactory

from rest import parsers
from rest.parsers import MAX_DEPTH, StrictJSONParser, read_json
from rest.problems import ApiProblem

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "only white space": b" \n\t ",
    "not json": b"hello",
    "an open object": b'{"a": 1',
    "an open string": b'{"a": "b',
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a comment": b'{"a": 1} // done',
    "two values": b"{} {}",
    "a form": b"a=1&b=2",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"-Infinity",
    "1e400": b'{"a": 1e400}',
    "-1e400": b'{"a": [-1e400]}',
    "a float of 400 digits": b"1" + b"0" * 400 + b".5",
    "an integer of 400 digits": b"1" + b"0" * 400,
    "a negative integer of 400 digits": b"-1" + b"0" * 400,
    "an integer of 10,000 digits": b"[" + b"9" * 10_000 + b"]",
    "a leading zero": b"007",
    "a hexadecimal number": b"0x10",
    "NUL in a string": rb'{"a": "x\u0000y"}',
    "NUL in a key": rb'{"a\u0000": 1}',
    "NUL in a key below": rb'{"b": [{"a\u0000": 1}]}',
    "NUL as the whole body": rb'"\u0000"',
    "a raw NUL byte": b'{"a": "\x00"}',
    "a NUL byte after the value": b"{}\x00",
    "a raw newline in a string": b'"a\nb"',
    "a lone high surrogate": rb'{"a": "\ud800"}',
    "a lone low surrogate": rb'["\udc00"]',
    "surrogates the wrong way round": rb'"\udc00\ud800"',
    "a lone surrogate in a key": rb'{"\ud800": 1}',
    "a lone surrogate after a pair": rb'"\ud83d\ude00\ud83d"',
    "a surrogate encoded in UTF-8": b'"\xed\xa0\x80"',
    "a duplicate key": b'{"a": 1, "a": 2}',
    "a duplicate key below": b'{"x": [{"a": 1, "b": 2, "a": 1}]}',
    "a duplicate key by an escape": rb'{"a": 1, "\u0061": 2}',
    "a duplicate key that is hostile itself": rb'{"\u0000\ud800": 1, "\u0000\ud800": 2}',
    "invalid UTF-8": b'{"a": "\xff"}',
    "an overlong encoding": b'"\xc0\xaf"',
    "a cut character": b'"\xe2\x82',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32-le"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an invalid escape": rb'"\x41"',
    "a short escape": rb'"\u12"',
    "101 lists": b"[" * 101 + b"]" * 101,
    "101 objects": b'{"a":' * 101 + b"1" + b"}" * 101,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "500,000 open lists": b"[" * 500_000,
    "lists of objects of lists": b'[{"a":' * 20_000,
    "deep below a string full of brackets": b'["' + b"]" * 200 + b'",' + b"[" * 150 + b"]" * 151,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_a_400_with_a_sentence(body: bytes) -> None:
    with pytest.raises(ApiProblem) as caught:
        read_json(body)
    problem = caught.value
    assert problem.status_code == 400
    assert problem.type == "malformed-json"
    assert str(problem.detail).endswith(".")
    json.dumps(problem.document(), ensure_ascii=False).encode()  # what is sent back is sound itself


SOUND: dict[str, tuple[bytes, Any]] = {
    "a string": (b'"a"', "a"),
    "null": (b"null", None),
    "a whole emoji by escapes": (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
    "an escaped backslash before u0000": (rb'"\\u0000"', r"\u0000"),
    "the largest double": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "a large integer": (b"123456789012345678901234567890", 123456789012345678901234567890),
    "a tiny number": (b"1e-400", 0.0),
    "the same key in two objects": (b'[{"a": 1}, {"a": 1}]', [{"a": 1}, {"a": 1}]),
    "brackets in strings": (b'"' + b"[" * 5_000 + b'"', "[" * 5_000),
    "white space around": (b" {} \n", {}),
}


@pytest.mark.parametrize(("body", "value"), SOUND.values(), ids=SOUND.keys())
def test_sound_json_is_read_as_it_is(body: bytes, value: object) -> None:
    assert read_json(body) == value


def test_one_hundred_levels_are_read() -> None:
    value = read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        value = value[0]
    assert value == []


def test_the_order_of_keys_is_kept() -> None:
    assert list(read_json(b'{"b": 1, "a": 2, "c": 3}')) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (rb'{"a": [1, {"b/c~d": "\u0000"}]}', "/a/1/b~1c~0d"),
        (b'{"a": [1, 1e999]}', "/a/1"),
        (rb'{"list": ["x", "\udfff"]}', "/list/1"),
    ],
)
def test_a_bad_value_is_named_by_its_json_pointer(body: bytes, where: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        read_json(body)
    assert [error.pointer for error in caught.value.errors] == [where]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{\n  "a": }', "line 2, column 8"),
        (b"[\n" + b"[" * 100 + b"]" * 101, "line 2, column 100"),
        (b"[" * 50_000, "line 1, column 101"),
        (b'{"a": "\xff"}', "byte 7"),
    ],
)
def test_a_bad_text_is_named_by_its_place(body: bytes, place: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        read_json(body)
    assert place in str(caught.value.detail)


def parse(body: bytes, content_type: str, *, blank_body_is_object: bool = False, **headers: str) -> Any:
    request = APIRequestFactory().post("/", data=body, content_type=content_type, headers=headers)

    class View:
        pass

    view = View()
    view.blank_body_is_object = blank_body_is_object  # type: ignore[attr-defined] # what views set
    return StrictJSONParser().parse(io.BytesIO(body), content_type, {"request": request, "view": view})


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_by_its_type(content_type: str) -> None:
    assert parse(b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize("content_type", ["application/*", "*/*", "text/json", "application/json5", "text/plain"])
def test_any_other_type_is_a_415(content_type: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        parse(b"{}", content_type)
    assert caught.value.status_code == 415


def test_a_content_encoding_is_a_415() -> None:
    with pytest.raises(ApiProblem) as caught:
        parse(b"{}", "application/json", content_encoding="gzip")
    assert caught.value.status_code == 415


def test_a_blank_body_is_an_object_only_where_the_view_says_so() -> None:
    assert parse(b"  ", "application/json", blank_body_is_object=True) == {}
    with pytest.raises(ApiProblem) as caught:
        parse(b"  ", "application/json")
    assert caught.value.status_code == 400


def test_where_a_string_is_costs_nothing_before_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a long key, or a hundred levels deep, it would cost each string the length of its path."""
    asked: list[object] = []
    monkeypatch.setattr(parsers, "_pointer", asked.append)
    text = json.dumps({"k" * 1_000: [{"name": "\u00e9 and more"} for _ in range(100)]})
    assert "\\u" in text
    parsers.read_json(text.encode())
    assert asked == []
