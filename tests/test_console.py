"""What both command lines share, as a shell sees it."""

import subprocess
import sys

PRINTING = """
import sys
from keras_seq.console import run_command

def command():
    for _ in range(100_000):
        print("a line of a long answer")

sys.exit(run_command(command))
"""


def test_whoever_has_read_enough_ends_it_without_an_error():
    """As `head` does."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PRINTING], stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b"a line of a long answer\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141  # As a shell tells of SIGPIPE.
