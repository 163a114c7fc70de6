"""Requests as bytes, to be broken, and a corpus of those that are broken in what they carry.

The corpus of framing, methods and headers stands in `e2e/test_broken_requests.py`, which sends both.
"""

import gzip

from support.server_process import SECRET, credentials

AUTH = f"Authorization: {credentials('ada')['Authorization']}\r\n".encode()
INTERNAL = f"Authorization: Bearer {SECRET}\r\n".encode()
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = FORM + b"Transfer-Encoding: chunked\r\n"

TYPES = b"event_types=%5B%22t%22%5D"
"""A good form."""

GZIPPED = gzip.compress(TYPES)


def get(target: bytes, lines: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET, with further header lines."""
    return b"GET %b %b\r\nHost: x\r\n%b\r\n" % (target, version, lines)


def post(lines: bytes, body: bytes = b"", target: bytes = b"/api/v1/register") -> bytes:
    """A POST by Ada, with a body as it is given."""
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n%b" % (target, AUTH, lines, body)


def poll(parameters: bytes) -> bytes:
    """A poll by Ada."""
    return get(b"/api/v1/events?" + parameters, AUTH)


def sized(body: bytes, lines: bytes = FORM) -> bytes:
    """A registration with a body of its length."""
    return post(lines + b"Content-Length: %d\r\n" % len(body), body)


def notices(body: bytes, lines: bytes = b"") -> bytes:
    """Notices to publish."""
    whole = post(lines + b"Content-Length: %d\r\n" % len(body), body, b"/api/internal/notices")
    return whole.replace(AUTH, INTERNAL)


def multipart(body: bytes, boundary: bytes = b"B", lines: bytes = b"") -> bytes:
    """A registration with a multipart form."""
    return sized(body, b"Content-Type: multipart/form-data; boundary=%b\r\n%b" % (boundary, lines))


def part(name: bytes, value: bytes, lines: bytes = b"", boundary: bytes = b"B") -> bytes:
    """One field of a multipart form."""
    disposition = b'Content-Disposition: form-data; name="%b"\r\n' % name
    return b"--%b\r\n%b%b\r\n%b\r\n" % (boundary, disposition, lines, value)


LIVE = get(b"/health/live")
END = b"--B--\r\n"
GOOD_PARTS = part(b"event_types", b'["t"]') + END
TRAILED = post(CHUNKED, b"19\r\n%b\r\n0\r\nA: b\r\n\r\n" % TYPES)
"""A good registration in chunks, with a trailer."""

CARRIED: dict[str, bytes] = {
    # Chunks and trailers.
    "trailers that name a secret": post(CHUNKED, b"0\r\nAuthorization: Basic x\r\nHost: y\r\n\r\n"),
    "trailers announced": post(CHUNKED + b"Trailer: A\r\n", b"1\r\na\r\n0\r\nA: b\r\n\r\n"),
    "many trailers": post(CHUNKED, b"0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n"),
    "a long trailer": post(CHUNKED, b"0\r\nA: " + b"x" * 1_000_000 + b"\r\n\r\n"),
    "trailers of odd bytes": post(CHUNKED, b"0\r\n\x00\xff\r\n\r\n"),
    "thousands of chunks": post(CHUNKED, b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"),
    "a long chunk extension": post(CHUNKED, b"1;" + b"x" * 200_000 + b"\r\na\r\n0\r\n\r\n"),
    "chunk size with a sign": post(CHUNKED, b"+1\r\na\r\n0\r\n\r\n"),
    "chunk size with a prefix": post(CHUNKED, b"0x1\r\na\r\n0\r\n\r\n"),
    "chunk size empty": post(CHUNKED, b"\r\na\r\n0\r\n\r\n"),
    "chunk size of zeros": post(CHUNKED, b"0" * 5000 + b"\r\n\r\n"),
    "chunks behind bare line feeds": post(CHUNKED, b"1\na\n0\n\n"),
    # Forms of a target.
    "absolute with another host": get(b"http://other.example/api/v1/server_settings"),
    "absolute with a user": get(b"http://ada:secret@x/api/v1/server_settings"),
    "absolute of another scheme": get(b"ftp://x/health/live"),
    "absolute and https": get(b"https://x/health/live"),
    "absolute for a post": sized(TYPES).replace(b"POST /", b"POST http://x/"),
    "absolute with a literal": get(b"http://[::1]:80/health/live"),
    "absolute with half a literal": get(b"http://[::1/health/live"),
    "absolute without a host": get(b"http:///health/live"),
    "authority": get(b"x:80"),
    "authority for CONNECT without a port": b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority for CONNECT with a body": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
    "asterisk for GET": get(b"*"),
    "empty target": get(b""),
    "two slashes": get(b"//x/health/live"),
    "spaces in the target": get(b"/health/live x"),
    "tabs in the request line": b"GET\t/health/live\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "question marks": get(b"/api/v1/server_settings???a=1?&?b=2"),
    # Escapes in paths.
    "escaped slash": get(b"/api%2fv1%2fserver_settings"),
    "escaped letters": get(b"/%68ealth/%6cive"),
    "escaped twice": get(b"/health%252flive"),
    "escaped question mark": get(b"/health/live%3fa=1"),
    "only percent signs": get(b"/%25%25%"),
    "half an escape in the path": get(b"/health/live%"),
    "an escape of no digits": get(b"/health/%zz"),
    "NUL in an outbox": get(b"/api/internal/outbox/%00", INTERNAL),
    "a slash in an outbox": get(b"/api/internal/outbox/a%2fb", INTERNAL),
    "a line end in an outbox": get(b"/api/internal/outbox/%0d%0aX:y", INTERNAL),
    "odd bytes in an outbox": get(b"/api/internal/outbox/%ff%fe", INTERNAL),
    "a long outbox": get(b"/api/internal/outbox/" + b"%41" * 20_000, INTERNAL),
    "no outbox": get(b"/api/internal/outbox/", INTERNAL),
    # Escapes in queries, and the sizes of them.
    "overlong UTF-8 in the query": poll(b"queue_id=%c0%af&last_event_id=-1"),
    "UTF-16 in the query": poll(b"queue_id=%ff%fe%61%00&last_event_id=-1"),
    "escapes of JavaScript": poll(b"queue_id=%u0041&last_event_id=-1"),
    "half a character": poll(b"queue_id=%c3&last_event_id=-1"),
    "a byte-order mark": poll(b"%ef%bb%bfqueue_id=a&last_event_id=%ef%bb%bf-1"),
    "full-width digits": poll(b"queue_id=q&last_event_id=%ef%bc%91"),
    "plus signs": poll(b"queue_id=+&last_event_id=+1+"),
    "semicolons": poll(b"queue_id=q;last_event_id=-1"),
    "names with brackets": poll(b"queue_id[]=q&last_event_id[0]=-1"),
    "the same name often": poll(b"queue_id=q&last_event_id=-1" + b"&queue_id=r" * 98),
    "only separators": poll(b"&" * 50_000),
    "only equals signs": poll(b"=" * 50_000),
    # Sizes of forms.
    "thousands of fields": sized(b"a=1&" * 100_000),
    "fields without content": sized(b"&" * 1_000_000),
    "a field name of a megabyte": sized(b"x" * 1_000_000),
    "a form over the bound": sized(b"a=" + b"x" * 1_100_000),
    "thousands of parts": multipart(part(b"a", b"1") * 10_000 + END),
    "a part over the bound": multipart(part(b"a", b"x" * 1_100_000) + END),
    "thousands of headers in a part": multipart(part(b"a", b"1", b"X-Y: z\r\n" * 5_000) + END),
    "a long header in a part": multipart(part(b"a", b"1", b"X: " + b"y" * 500_000 + b"\r\n") + END),
    # Multipart forms.
    "another boundary": multipart(part(b"a", b"1", boundary=b"C") + b"--C--\r\n"),
    "a boundary that begins with the other": multipart(part(b"a", b"1", boundary=b"BB") + b"--BB--\r\n"),
    "no last boundary": multipart(part(b"event_types", b'["t"]')),
    "no boundary but the last": multipart(END),
    "an empty multipart form": multipart(b""),
    "text before the first boundary": multipart(b"hello\r\n" + GOOD_PARTS),
    "text behind the last boundary": multipart(GOOD_PARTS + b"hello"),
    "boundaries with bare line feeds": multipart(GOOD_PARTS.replace(b"\r\n", b"\n")),
    "an empty boundary": multipart(part(b"a", b"1", boundary=b"") + b"----\r\n", b'""'),
    "a long boundary": multipart(part(b"a", b"1", boundary=b"b" * 5_000), b"b" * 5_000),
    "a boundary of odd bytes": multipart(part(b"a", b"1", boundary=b"\xff\x80"), b"\xff\x80"),
    "a boundary with quotes": multipart(b"--a\r\n", b'"a\\"b"'),
    "a boundary of control characters": multipart(GOOD_PARTS, b"B\x01\t\x7f"),
    "two boundaries": multipart(GOOD_PARTS, b"B; boundary=C"),
    "a part without a head": multipart(b"--B\r\n\r\nx\r\n" + END),
    "a part without a name": multipart(b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END),
    "a part without a disposition": multipart(b"--B\r\nX: y\r\n\r\nx\r\n" + END),
    "a part of another disposition": multipart(GOOD_PARTS.replace(b"form-data", b"attachment")),
    "a file": multipart(GOOD_PARTS.replace(b"form-data;", b'form-data; filename="b";')),
    "a name of odd bytes": multipart(part(b"\xff\xfe", b"1") + END),
    "a name in another way": multipart(GOOD_PARTS.replace(b'name="event_types"', b"name*=UTF-8''%ff")),
    "a value of odd bytes": multipart(part(b"event_types", b"\xff\xfe\x00") + END),
    "a part in base64": multipart(
        part(b"event_types", b"WyJ0Il0=", b"Content-Transfer-Encoding: base64\r\n") + END
    ),
    "a part in UTF-16": multipart(
        part(b"event_types", b"[\x00]\x00", b"Content-Type: text/plain; charset=utf-16\r\n") + END
    ),
    "parts in a part": multipart(
        part(b"a", b"--C\r\n\r\nx\r\n--C--", b"Content-Type: multipart/mixed; boundary=C\r\n") + END
    ),
    "NUL in a part's head": multipart(part(b"a\x00b", b"1", b"X: \x00\r\n") + END),
    # Codings and charsets of a body.
    "a form in gzip": sized(GZIPPED, FORM + b"Content-Encoding: gzip\r\n"),
    "a form said to be gzip": sized(TYPES, FORM + b"Content-Encoding: gzip\r\n"),
    "a form in many codings": sized(TYPES, FORM + b"Content-Encoding: gzip, br, gzip, x\r\n"),
    "a multipart form in gzip": multipart(gzip.compress(GOOD_PARTS), lines=b"Content-Encoding: gzip\r\n"),
    "notices in gzip": notices(gzip.compress(b"[]"), b"Content-Encoding: gzip\r\n"),
    "a charset that there is not": sized(TYPES, FORM.replace(b"\r\n", b"; charset=klingon\r\n")),
    "a charset that is no text": sized(TYPES, FORM.replace(b"\r\n", b"; charset=zlib\r\n")),
    "a form in UTF-16": sized(
        TYPES.decode().encode("utf-16"), FORM.replace(b"\r\n", b"; charset=utf-16\r\n")
    ),
    "two content types": sized(TYPES, FORM + b"Content-Type: multipart/form-data; boundary=B\r\n"),
    "notices in UTF-16": notices("[]".encode("utf-16")),
    "notices behind a byte-order mark": notices(b"\xef\xbb\xbf[]"),
    "notices of NULs": notices(b"\x00" * 99),
    "notices of line ends": notices(b"\n" * 100_000),
    # Versions, and what is no HTTP.
    "HTTP/0.9 with headers": b"GET /health/live\r\nHost: x\r\n\r\n",
    "HTTP/2 and its settings": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/2 behind a good request": LIVE + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in a request line": get(b"/health/live", version=b"HTTP/2.0"),
    "a version with more digits": get(b"/health/live", version=b"HTTP/1.10"),
    "a version with spaces": get(b"/health/live", version=b"HTTP / 1.1"),
    "a version in small letters": get(b"/health/live", version=b"http/1.1"),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "the line of a proxy": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + LIVE,
}
