"""Requests that programs on the way may read in different ways, and requests that only look odd.

Each form of the first kind must be refused and its connection closed. The second kind must be served.
"""

SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
"""What stands where one reader sees a body and another a request."""


def head(
    lines: bytes = b"", *, first: bytes = b"POST /api/v1/register HTTP/1.1", host: bytes = b"Host: x\r\n"
) -> bytes:
    """A head with further lines, each with its end."""
    return b"%b\r\n%b%b\r\n" % (first, host, lines)


def length(value: bytes, name: bytes = b"Content-Length") -> bytes:
    """A request whose body is a request, with a length as it is given."""
    return head(b"%b: %b\r\n" % (name, value)) + SMUGGLED


def chunked(body: bytes, lines: bytes = b"Transfer-Encoding: chunked\r\n") -> bytes:
    """A request with a body that is in chunks, or says so."""
    return head(lines) + body


LENGTH = b"%d" % len(SMUGGLED)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
WITH_LENGTH = b"Content-Length: %b\r\n" % LENGTH

AMBIGUOUS: dict[str, bytes] = {
    # Two lengths, or none that is certain.
    "length and chunks": chunked(CHUNKS, WITH_LENGTH + b"Transfer-Encoding: chunked\r\n"),
    "chunks and length": chunked(CHUNKS, b"Transfer-Encoding: chunked\r\n" + WITH_LENGTH),
    "length 0 and chunks": chunked(CHUNKS, b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    "length and another coding": chunked(SMUGGLED, WITH_LENGTH + b"Transfer-Encoding: identity\r\n"),
    "two lengths": head(b"Content-Length: 0\r\n" + WITH_LENGTH) + SMUGGLED,
    "the same length twice": head(WITH_LENGTH * 2) + SMUGGLED,
    "a list of lengths": length(LENGTH + b", " + LENGTH),
    "a list with one length": length(LENGTH + b","),
    "a length with plus": length(b"+" + LENGTH),
    "a length with minus": length(b"-1"),
    "a length with a space inside": length(b"3 7"),
    "a length in hex": length(b"0x25"),
    "a length with an underscore": length(b"3_7"),
    "a length with a point": length(b"37.0"),
    "a length with an exponent": length(b"4e1"),
    "a length with letters behind": length(b"37a"),
    "a length of other digits": length(b"\xd9\xa3\xd9\xa7"),
    "a length in superscript": length(b"\xb3"),
    "an empty length": length(b""),
    "a length of 20 digits": length(b"0" * 18 + LENGTH),
    "a length beyond 64 bits": length(b"18446744073709551653"),
    "a length in quotes": length(b'"37"'),
    # Codings.
    "chunks twice": chunked(CHUNKS, b"Transfer-Encoding: chunked\r\n" * 2),
    "a list of chunked": chunked(CHUNKS, b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked behind identity": chunked(CHUNKS, b"Transfer-Encoding: identity, chunked\r\n"),
    "identity": chunked(SMUGGLED, b"Transfer-Encoding: identity\r\n"),
    "gzip": chunked(SMUGGLED, b"Transfer-Encoding: gzip\r\n"),
    "chunked before gzip": chunked(CHUNKS, b"Transfer-Encoding: chunked, gzip\r\n"),
    "two lines of codings": chunked(CHUNKS, b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    "an unknown coding": chunked(CHUNKS, b"Transfer-Encoding: xchunked\r\n"),
    "an empty coding": chunked(SMUGGLED, b"Transfer-Encoding:\r\n"),
    "chunked with a comma": chunked(CHUNKS, b"Transfer-Encoding: chunked,\r\n"),
    "chunked with a parameter": chunked(CHUNKS, b"Transfer-Encoding: chunked;a=b\r\n"),
    "chunked in quotes": chunked(CHUNKS, b'Transfer-Encoding: "chunked"\r\n'),
    "chunked behind a vertical tab": chunked(CHUNKS, b"Transfer-Encoding: \x0bchunked\r\n"),
    "chunked behind a NUL": chunked(CHUNKS, b"Transfer-Encoding: chunked\x00\r\n"),
    "chunked with a byte of another alphabet": chunked(CHUNKS, b"Transfer-Encoding: \xffchunked\r\n"),
    "chunked in HTTP/1.0": head(b"Transfer-Encoding: chunked\r\n", first=b"POST /api/v1/register HTTP/1.0")
    + CHUNKS,
    # Lines.
    "bare line feeds": head(WITH_LENGTH).replace(b"\r\n", b"\n") + SMUGGLED,
    "a bare line feed behind the first line": head(WITH_LENGTH).replace(b"\r\n", b"\n", 1) + SMUGGLED,
    "a bare line feed inside": head(b"A: b\n" + WITH_LENGTH) + SMUGGLED,
    "a bare line feed for the empty line": head(WITH_LENGTH)[:-2] + b"\n" + SMUGGLED,
    "a length behind a line feed": head(b"A: b\nContent-Length: 37\r\n") + SMUGGLED,
    "a length behind a carriage return": head(b"A: b\rContent-Length: 37\r\n") + SMUGGLED,
    "bare carriage returns": head().replace(b"\r\n", b"\r") + SMUGGLED,
    "two carriage returns": head(b"A: b\r\r\n" + WITH_LENGTH) + SMUGGLED,
    "a folded line": head(b"A: b\r\n Content-Length: 37\r\n") + SMUGGLED,
    "a coding on a folded line": chunked(CHUNKS, b"Transfer-Encoding:\r\n chunked\r\n"),
    "a folded line of tabs": head(b"A: b\r\n\t\r\n" + WITH_LENGTH) + SMUGGLED,
    "a space before the first header": b"POST / HTTP/1.1\r\n Host: x\r\n\r\n",
    # Names.
    "a space before the colon": head(b"Content-Length : 37\r\n") + SMUGGLED,
    "a tab before the colon": chunked(CHUNKS, b"Transfer-Encoding\t: chunked\r\n"),
    "a space before the name": head(b" Content-Length: 37\r\n") + SMUGGLED,
    "a space in the name": head(b"Content Length: 37\r\n") + SMUGGLED,
    "no name": head(b": b\r\n"),
    "no colon": head(b"Content-Length\r\n"),
    "a NUL in a name": head(b"Content\x00-Length: 37\r\n") + SMUGGLED,
    "a name in parentheses": head(b"(Host): x\r\n"),
    "a name with a byte of another alphabet": head(b"H\xf6st: x\r\n"),
    "a name with a slash": head(b"a/b: c\r\n"),
    # Values.
    "a NUL in a value": head(b"A: b\x00c\r\n"),
    "a control character in a value": head(b"A: b\x01c\r\n"),
    "a delete character in a value": head(b"A: b\x7f\r\n"),
    "an escape character in a value": head(b"A: \x1b[2J\r\n"),
    # Hosts.
    "no host": head(host=b""),
    "two hosts": head(b"Host: y\r\n"),
    "the same host twice": head(b"host: x\r\n"),
    # Request lines.
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/0.9 with a version": b"GET /health/live HTTP/0.9\r\nHost: x\r\n\r\n",
    "HTTP/1.2": head(first=b"GET /health/live HTTP/1.2"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of two digits": head(first=b"GET /health/live HTTP/1.10"),
    "a version without a point": head(first=b"GET /health/live HTTP/11"),
    "a version in small letters": head(first=b"GET /health/live http/1.1"),
    "another protocol": head(first=b"GET /health/live ICE/1.0"),
    "two spaces": head(first=b"GET  /health/live HTTP/1.1"),
    "two spaces before the version": head(first=b"GET /health/live  HTTP/1.1"),
    "a tab for a space": head(first=b"GET\t/health/live\tHTTP/1.1"),
    "a space behind the version": head(first=b"GET /health/live HTTP/1.1 "),
    "a space in the target": head(first=b"GET /health/live /x HTTP/1.1"),
    "no target": head(first=b"GET HTTP/1.1"),
    "a whole URL": head(first=b"GET http://other.example/health/live HTTP/1.1"),
    "a whole URL without a path": head(first=b"GET http://x HTTP/1.1"),
    "a host and a port": head(first=b"CONNECT x:443 HTTP/1.1"),
    "an asterisk": head(first=b"OPTIONS * HTTP/1.1"),
    "a fragment": head(first=b"GET /health/live#a HTTP/1.1"),
    "no slash": head(first=b"GET health/live HTTP/1.1"),
    "raw bytes in the target": head(first=b"GET /health/\xff HTTP/1.1"),
    "a NUL in the target": head(first=b"GET /health\x00/live HTTP/1.1"),
    "a method in small letters": head(first=b"get /health/live HTTP/1.1"),
    "a method of other characters": head(first=b"GE(T /health/live HTTP/1.1"),
    "an endless method": head(first=b"G" * 25 + b" /health/live HTTP/1.1"),
    "no method": head(first=b" /health/live HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    # Before a request.
    "a space before the request": b" " + SMUGGLED,
    "a tab before the request": b"\t" + SMUGGLED,
    "a line feed before the request": b"\n" + SMUGGLED,
    "a carriage return before the request": b"\r" + SMUGGLED,
    "a NUL before the request": b"\x00" + SMUGGLED,
    "a byte order mark before the request": b"\xef\xbb\xbf" + SMUGGLED,
    "many empty lines": b"\r\n" * 9 + SMUGGLED,
    # Chunks.
    "no size": chunked(b"\r\n\r\n"),
    "a size that is no number": chunked(b"xyz\r\n"),
    "a size with plus": chunked(b"+3\r\nabc\r\n0\r\n\r\n"),
    "a size with minus": chunked(b"-3\r\nabc\r\n0\r\n\r\n"),
    "a size with 0x": chunked(b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a size with an underscore": chunked(b"0_3\r\nabc\r\n0\r\n\r\n"),
    "a size beyond 32 bits": chunked(b"100000003\r\nabc\r\n0\r\n\r\n"),
    "a size with many zeros": chunked(b"000000003\r\nabc\r\n0\r\n\r\n"),
    "an endless size": chunked(b"3" * 1000),
    "a space before the size": chunked(b" 3\r\nabc\r\n0\r\n\r\n"),
    "a space behind the size": chunked(b"3 \r\nabc\r\n0\r\n\r\n"),
    "a line feed behind the size": chunked(b"3\nabc\r\n0\r\n\r\n"),
    "a carriage return behind the size": chunked(b"3\rabc\r\n0\r\n\r\n"),
    "a chunk without its end": chunked(b"3\r\nabcd\r\n0\r\n\r\n"),
    "a chunk that ends in a line feed": chunked(b"3\r\nabc\n0\r\n\r\n"),
    "a chunk that ends in anything": chunked(b"3\r\nabcXY0\r\n\r\n"),
    "a long extension": chunked(b"3;" + b"a" * 300 + b"\r\nabc\r\n0\r\n\r\n"),
    "many extensions": chunked((b"1;" + b"a" * 200 + b"\r\nx\r\n") * 6 + b"0\r\n\r\n"),
    "a line feed in an extension": chunked(b"3;a=b\nc\r\nabc\r\n0\r\n\r\n"),
    "a broken extension": chunked(b'3;a="b\r\nabc\r\n0\r\n\r\n'),
    "an extension behind a space": chunked(b"3 ;a\r\nabc\r\n0\r\n\r\n"),
    "a line feed for the last line": chunked(b"0\r\n\n"),
    "a line feed behind the last chunk": chunked(b"0\n\n"),
    "a trailer that ends in a line feed": chunked(b"0\r\nA: b\n\r\n"),
    "a folded trailer": chunked(b"0\r\nA: b\r\n c\r\n\r\n"),
    "a trailer without a colon": chunked(b"0\r\nGET /metrics HTTP/1.1\r\n\r\n"),
    "a NUL in a trailer": chunked(b"0\r\nA: \x00\r\n\r\n"),
}
"""Each is answered with 400, and nothing behind it is read."""

TOO_MUCH: dict[str, tuple[bytes, int]] = {
    "an expectation": (head(b"Expect: a miracle\r\nContent-Length: 0\r\n"), 417),
    "two expectations": (head(b"Expect: 100-continue\r\n" * 2 + WITH_LENGTH), 417),
    "an endless target": (b"GET /" + b"x" * 10_000, 414),
    "a long target": (head(first=b"GET /%b HTTP/1.1" % (b"x" * 8_192)), 414),
    "a long header": (head(b"A: " + b"x" * 16_384 + b"\r\n"), 431),
    "an endless header": (head()[:-2] + b"A: " + b"x" * 20_000, 431),
    "many headers": (head(b"A: b\r\n" * 100), 431),
    "endless headers": (head()[:-2] + b"A: b\r\n" * 5_000, 431),
    "long trailers": (chunked(b"0\r\n" + b"A: %b\r\n" % (b"x" * 8_000) * 3 + b"\r\n"), 431),
    "many trailers": (chunked(b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), 431),
}
"""Requests that are refused for what they ask or what they cost, and the status."""

UNUSUAL: dict[str, tuple[bytes, bytes]] = {
    "a request": (head(first=b"GET / HTTP/1.1"), b""),
    "HTTP/1.0": (head(first=b"GET / HTTP/1.0"), b""),
    "HTTP/1.0 without a host": (head(first=b"GET / HTTP/1.0", host=b""), b""),
    "empty lines first": (b"\r\n" * 8 + head(), b""),
    "an unknown method": (head(first=b"BREW /pot HTTP/1.1"), b""),
    "an odd target": (head(first=b'GET //a/../%00%0a?x=[{"y":1}]|\\^`<> HTTP/1.1'), b""),
    "an odd host": (head(host=b'Host: \xff"[\r\n'), b""),
    "odd values": (head(b"A:\r\nB: \t\r\nC:\t\xff\x80 x \r\n"), b""),
    "a body": (length(LENGTH), SMUGGLED),
    "a body of a GET": (head(WITH_LENGTH, first=b"GET / HTTP/1.1") + SMUGGLED, SMUGGLED),
    "a length of zero": (length(b"0")[: -len(SMUGGLED)], b""),
    "a length with zeros before": (length(b"00" + LENGTH), SMUGGLED),
    "an upgrade with a body": (
        head(b"Connection: upgrade\r\nUpgrade: x\r\n" + WITH_LENGTH) + SMUGGLED,
        SMUGGLED,
    ),
    "an upgrade with chunks": (
        chunked(CHUNKS, b"Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
        SMUGGLED,
    ),
    "a name that only looks like a length": (head(b"Content_Length: 37\r\nX-Content-Length: 5\r\n"), b""),
    "chunks": (chunked(CHUNKS), SMUGGLED),
    "chunked in capitals": (chunked(CHUNKS, b"transfer-encoding:CHUNKED\r\n"), SMUGGLED),
    "no chunk": (chunked(b"0\r\n\r\n"), b""),
    "several chunks": (chunked(b"1\r\na\r\n0002\r\nbc\r\nA\r\n0123456789\r\n00\r\n\r\n"), b"abc0123456789"),
    "chunks that look like lines": (chunked(b"4\r\n\r\n\r\n\r\n2\r\n0\r\r\n0\r\n\r\n"), b"\r\n\r\n0\r"),
    "extensions": (chunked(b'1;a;b=c;d="e f;\t"\r\nx\r\n0;z\r\n\r\n'), b"x"),
    "trailers": (chunked(b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), b"x"),
    "who asks first": (head(b"Expect: 100-Continue\r\n" + WITH_LENGTH) + SMUGGLED, SMUGGLED),
}
"""Requests that must be read, and their bodies."""
