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


INTERRUPTED = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored where tests run in a background.
from keras_seq.console import run_command

class Dropped:
    def __del__(self):  # Python drops what is raised here.
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

def command():
    try:
        Dropped()
        time.sleep(60)
        print("not interrupted")
    finally:
        time.sleep(1.5)  # Longer than until the next look.
        print("all cleaned up")

sys.exit(run_command(command))
"""


def test_an_interrupt_that_python_drops_ends_a_command_all_the_same():
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert process.stdout == "all cleaned up\n"
    assert process.stderr.endswith("\ninterrupted\n")
    assert process.returncode == 130
