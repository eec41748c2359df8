"""Interrupt the main thread from a task of this process, and keep the task running until the test has noticed."""

import signal
import threading

stopping = threading.Event()


def interrupt_main():
    """Do what Ctrl-C and the cancellation of a run do."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def run_until_stopped():
    """Interrupt, and go on until `stopping` is set; it is not pickled, because it is imported."""
    interrupt_main()
    stopping.wait(60)
