"""Reading job templates: from files of the agent's machine, by HTTP, and from object stores.

Whatever keeps a template from being read, or is no Job in YAML, raises `LaunchError` with its address and the reason.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flowstead_agent.errors import LaunchError
from flowstead_agent.launchers.kubernetes_jobs import checked_template

__all__ = ["read_template"]


def read_template(path: str) -> Mapping[str, Any]:
    """Return the template at `path`: a path, or a URL of `agent:`, `file:`, `http:`, `https:`, `s3:`, `gs:` or `gcs:`.

    A path, and `agent:`, is a file of this machine.
    """
    import yaml  # noqa: PLC0415 - most agents have no template

    from prefect.utilities.filesystems import read_bytes_from_path  # noqa: PLC0415 - as above

    parts = urlsplit(path)
    location = parts.netloc + parts.path if parts.scheme in {"agent", "local"} else path
    try:
        template = yaml.safe_load(read_bytes_from_path(location))
    except yaml.YAMLError as error:
        raise LaunchError(f"The job template {path} is no valid YAML: {error}") from error
    except Exception as error:  # the libraries of object stores raise what they like
        raise LaunchError(f"The job template {path} cannot be read: {error}") from error
    return checked_template(template, path)
