"""What storages in object stores share: a flow is one object, as a pickle or as a script.

`build` uploads; what cannot be written, or read where the flow runs, raises `FlowStorageError` that names the object.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.utilities.context import context
from prefect.utilities.object_stores import ObjectStore
from prefect.utilities.storage import (
    extract_flow_from_file,
    flow_from_bytes_pickle,
    flow_to_bytes_pickle,
    slugify,
    timestamp_slug,
)

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["ObjectStorage"]


class ObjectStorage(Storage):
    """The base of storages in object stores.

    A flow's key is the one given, or else made of its name and the time.  With `stored_as_script` the script at
    `local_script_path` (default the one that is being loaded) is uploaded, if there is one; otherwise it has to be at
    the key already.  A kind says which `store` it uses, what people call it, and what the key is called.
    """

    place: ClassVar[str] = "the store"
    key_name: ClassVar[str] = "key"
    # What is not part of the JSON, for storages that were read from it.
    local_script_path: str | None = None
    upload_options: Mapping[str, Any] | None = None

    def __init__(self, local_script_path: str | None = None, stored_as_script: bool = False, **kwargs: Any) -> None:
        self.local_script_path = local_script_path or context.get("local_script_path")
        super().__init__(stored_as_script=stored_as_script, **kwargs)
        if self.result is None:
            self.result = self.default_result()

    def store(self) -> ObjectStore:
        """Return the store that flows are kept in."""
        raise NotImplementedError

    def _check_free(self, store: ObjectStore, key: str) -> None:
        """Raise `FlowStorageError` if the object must not be replaced."""

    def add_flow(self, flow: "Flow") -> str:
        """Note the key of the flow, which `build` uploads; returns it."""
        self._refuse_second(flow)
        key = getattr(self, self.key_name) or f"{slugify(flow.name)}/{timestamp_slug()}"
        self.flows[flow.name] = key
        self._flows[flow.name] = flow
        return str(key)

    def build(self) -> Storage:
        """Upload the flows.

        Raises `ValueError` for a script that is neither here nor at a given key, `FlowStorageError` for what the store
        refuses.
        """
        store = self.store()
        if self.stored_as_script:
            script = self.local_script_path or context.get("local_script_path")
            if script is not None:
                data = Path(script).expanduser().read_bytes()
                for key in dict.fromkeys(self.flows.values()):
                    self._upload(store, key, data)
            elif not getattr(self, self.key_name):
                raise ValueError(
                    f"A `{self.key_name}` must be provided to show where flow `.py` file is stored in {self.place}, or "
                    "a `local_script_path` of a script to upload."
                )
            return self
        for name, flow in self._flows.items():
            self._upload(store, self.flows[name], flow_to_bytes_pickle(flow))
        return self

    def _upload(self, store: ObjectStore, key: str, data: bytes) -> None:
        self.logger.info("Uploading %s to %s", key, store.bucket)
        try:
            self._check_free(store, key)
            store.write(key, data, self.upload_options)
        except (FlowStorageError, ImportError, ValueError):
            raise
        except Exception as error:
            raise FlowStorageError(f"No flow could be written to {store.url(key)}: {error or repr(error)}") from error

    def _say_downloaded(self, store: ObjectStore, key: str) -> None:
        """Log what the store says about an object that was read."""

    def get_flow(self, flow_name: str) -> "Flow":
        """Return the flow of that name, loaded from its object; raises `FlowStorageError` if that cannot be read."""
        key = self._location(flow_name)
        store = self.store()
        self.logger.info("Downloading flow from %s", store.url(key))
        try:
            data = store.read(key)
        except FileNotFoundError as error:
            raise FlowStorageError(f"Flow not found in bucket: flow={key} bucket={store.bucket}") from error
        except (ImportError, ValueError):
            raise
        except Exception as error:
            raise FlowStorageError(
                f"The flow {flow_name!r} could not be read from {store.url(key)}: {error or repr(error)}"
            ) from error
        self._say_downloaded(store, key)
        if self.stored_as_script:
            return extract_flow_from_file(file_contents=data.decode(), flow_name=flow_name)
        return flow_from_bytes_pickle(data)
