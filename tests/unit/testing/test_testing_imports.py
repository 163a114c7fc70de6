"""The testing kit without Hypothesis says what is missing."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules["hypothesis"] = None
import tidewire.testing
try:
    import tidewire.testing.rules
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_proving_rules_without_hypothesis_says_what_to_install() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert ran.stdout == "tidewire.testing.rules needs Hypothesis: pip install 'tidewire[testing]'\n"
