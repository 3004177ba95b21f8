"""Memory that training keeps."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
from keras_seq.training.memory import keep_freed_memory

keep = {keep}
if keep:
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(50_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    code = FAULTS.format(keep=keep)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc, in Linux")
def test_large_arrays_are_not_faulted_in_again():
    assert faults(keep=True) < faults(keep=False) / 5
