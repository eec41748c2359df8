"""The fault test in short: 60 runs, each kind of fault once. `make chaos` is the long one."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_promise_is_broken_while_everything_breaks_once(capsys):
    seed = random.randrange(10**6)
    command = [sys.executable, str(Path(__file__).parent), "--short", "--seed", str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=280)
    except BaseException:
        # it ends all that it has started
        process.send_signal(signal.SIGINT)
        process.wait(20)
        raise
    assert process.returncode == 0, output
    with capsys.disabled():
        print(f" [seed {seed}] ", end="")
