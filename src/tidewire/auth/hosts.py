"""Host names as they compare: of a realm in the users file, and of a request."""


def comparable(host: str) -> str:
    """The host in lower case, without port, brackets, and the dot that may end a full name.

    `Demo.Example:9800` gives `demo.example`, `[::1]:9800` gives `::1`. An IPv6 address without brackets,
    which no request should have, is left whole.
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    if name and ":" not in name and (not port or port.isdecimal()):
        host = name
    return host.removesuffix(".")
