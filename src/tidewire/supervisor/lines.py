"""The logs of several shards as one: whole lines only, each with its shard."""


class ShardLines:
    """Makes lines that say which shard they are of out of what one shard writes, piece by piece."""

    def __init__(self, port: int, *, structured: bool) -> None:
        self._structured = structured
        self._mark = b'{"shard":%d,' % port if structured else b"[%d] " % port
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(map(self._marked, lines))

    def end(self) -> bytes:
        """What came last, though it is no whole line."""
        rest, self._rest = self._rest, b""
        return self._marked(rest) if rest else b""

    def _marked(self, line: bytes) -> bytes:
        if not self._structured:
            return b"%b%b\n" % (self._mark, line)
        # A traceback that Python itself wrote is no object, and stays as it is.
        return b"%b%b\n" % ((self._mark, line[1:]) if line.startswith(b'{"') else (b"", line))
