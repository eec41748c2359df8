"""Print the schema in GraphQL's definition language: `python -m flowstead_server.api.schema_export [FILE]`.

Without a file the text goes to standard output. A file that cannot be written ends with the operating system's error.
"""

import argparse
import sys
from pathlib import Path

from flowstead_server.api.schema import api_schema


def sdl() -> str:
    """The whole schema as text, ending with a line break."""
    return api_schema().as_str() + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Print the schema, or write it to the file that is named."""
    parser = argparse.ArgumentParser(prog="python -m flowstead_server.api.schema_export", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="where to write the schema")
    options = parser.parse_args(arguments)
    if options.file is None:
        sys.stdout.write(sdl())
    else:
        options.file.write_text(sdl(), encoding="utf-8")


if __name__ == "__main__":
    main()
