"""Builds the benchmarks' C programs, once for each change to them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "tools"
BUILT = Path(__file__).parent / ".built"


class Missing(Exception):
    """A program that is needed is not installed; the text says which, and what to do."""


def built(name: str) -> Path:
    """The program of `tools/<name>.c`, built if need be.

    Raises:
        Missing: there is no C compiler.
    """
    source = SOURCES / f"{name}.c"
    version = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = BUILT / f"{name}-{version}"
    if not program.exists():
        compiler = shutil.which("gcc")
        if compiler is None:
            raise Missing("gcc is not installed (apt-get install gcc libc6-dev)")
        BUILT.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", program, source], check=True)  # noqa: S603 - our own source
    return program
