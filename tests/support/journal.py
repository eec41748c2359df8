"""A list in a file, for what tasks of any thread or process record."""

import json
import os
from pathlib import Path


class Journal:
    """Append JSON-able values from anywhere; equal to the list of them, in the order in which they came."""

    def __init__(self, path):
        self.path = str(path)
        Path(self.path).touch()

    def append(self, value):
        line = json.dumps(value) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def read(self):
        return [json.loads(line) for line in Path(self.path).read_text().splitlines()]

    def __len__(self):
        return len(self.read())

    def __eq__(self, other):
        return self.read() == other

    __hash__ = None

    def __repr__(self):
        return repr(self.read())
