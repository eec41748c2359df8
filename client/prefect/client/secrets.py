"""Where 1.x has `Secret`; the class itself needs no API for secrets of this machine and lives with the utilities."""

from prefect.utilities.secrets import Secret

__all__ = ["Secret"]
