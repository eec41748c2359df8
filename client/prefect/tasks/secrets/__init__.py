"""Tasks that give secrets; their values are never persisted."""

from prefect.tasks.secrets.base import PrefectSecret, SecretBase
from prefect.tasks.secrets.env_var import EnvVarSecret

__all__ = ["EnvVarSecret", "PrefectSecret", "SecretBase"]
