"""Checks, while an image is built, that the flows in it can be loaded there: ends with 1 and one sentence if not.

Runs inside the image: `python healthcheck.py '["/opt/prefect/flows/a.prefect"]' '(3, 11)'`.
"""

import ast
import json
import sys
import warnings
from pathlib import Path


def check(locations: "list[str]", version: "tuple[int, int]") -> "str | None":
    """Return what is wrong with the image, None if nothing is."""
    here = sys.version_info[:2]
    from prefect.utilities.storage import extract_flow_from_file, flow_from_bytes_pickle  # noqa: PLC0415 - may be missing

    for location in locations:
        path = Path(location)
        if not path.is_file():
            return f"There is no file {location} in the image; scripts have to be brought by `files`."
        data = path.read_bytes()
        # Pickles are kept in JSON, and no script is JSON.
        pickled = data.startswith(b'{"')
        if pickled and here != version:
            return (
                f"Pickled flows need the same Python where they run: they were made with {version[0]}.{version[1]}, "
                f"and the image has {here[0]}.{here[1]}."
            )
        try:
            if pickled:
                flow_from_bytes_pickle(data)
            else:
                extract_flow_from_file(location)
        except Exception as error:
            return f"The flow in {location} cannot be loaded in the image: {error!r}"
    return None


if __name__ == "__main__":
    warnings.simplefilter("always")
    problem = check(json.loads(sys.argv[1]), ast.literal_eval(sys.argv[2]))
    sys.exit(problem)
