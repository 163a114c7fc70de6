"""What ties a shard's process to its supervisor: it waits for its turn to begin, and does not outlive it."""

import contextlib
import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Has this process get SIGTERM when its parent, the process with this id, ends or has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        signal.raise_signal(signal.SIGTERM)


def await_turn() -> bool:
    """Tells the supervisor, by the socket that standard input is, that everything is loaded, and waits for a word.

    Returns:
        Whether it is this process's turn; else the supervisor has gone.
    """
    with _supervisor() as supervisor:
        supervisor.sendall(b".")
        return supervisor.recv(1) != b""


def say_so() -> None:
    """Tells the supervisor that clients are served; and later, that the state can be another process's."""
    with _supervisor() as supervisor, contextlib.suppress(OSError):  # which may have gone
        supervisor.sendall(b".")


def _supervisor() -> socket.socket:
    return socket.socket(fileno=os.dup(sys.stdin.fileno()))
