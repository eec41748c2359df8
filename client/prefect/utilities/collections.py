"""Dictionaries with attribute access, and helpers for nested mappings.

Pure functions over plain containers: nothing here does I/O.  Bad input raises the usual `KeyError`, `AttributeError`,
`TypeError` or `ValueError`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

__all__ = [
    "CompoundKey",
    "DotDict",
    "as_nested_dict",
    "dict_to_flatdict",
    "flatdict_to_dict",
    "flatten_seq",
    "merge_dicts",
]

_RESERVED = frozenset(dir(MutableMapping)) | {"to_dict", "copy"}


class DotDict(MutableMapping[str, Any]):
    """A mutable mapping whose keys are attributes too.

    A missing attribute raises `AttributeError`, a missing item `KeyError`.  A key that is the name of a mapping method
    (`items`, `update`, ...) raises `ValueError`, because it would hide that method.
    """

    def __init__(self, init_dict: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        if init_dict:
            self.update(init_dict)
        self.update(kwargs)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        return self.__dict__.get(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set every key of a mapping (or of key-value pairs) and of the keyword arguments."""
        new = dict(*args, **kwargs)
        if not _RESERVED.isdisjoint(new):
            _refuse_reserved(new)
        self.__dict__.update(new)

    def to_dict(self) -> dict[str, Any]:
        """Return the contents as plain dictionaries, also inside nested containers."""
        plain: dict[str, Any] = as_nested_dict(self, dict)
        return plain

    def copy(self) -> "DotDict":
        """Return a shallow copy."""
        new = DotDict()
        new.__dict__.update(self.__dict__)
        return new

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in _RESERVED:
            _refuse_reserved((key,))
        self.__dict__[key] = value

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    def __contains__(self, key: object) -> bool:
        return key in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        if not self:
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__}: {', '.join(sorted(repr(key) for key in self.__dict__))}>"


def _refuse_reserved(keys: Iterable[str]) -> None:
    name = next(key for key in keys if key in _RESERVED)
    raise ValueError(f'Invalid key: "{name}" is the name of a mapping method; choose another key.')


def as_nested_dict(obj: Any, dct_class: Callable[[dict[str, Any]], Any] = DotDict) -> Any:
    """Return `obj` with every mapping in it, at any depth of lists, tuples and sets, turned into a `dct_class`."""
    if isinstance(obj, Mapping):
        return dct_class({key: as_nested_dict(value, dct_class) for key, value in obj.items()})
    if isinstance(obj, (list, tuple, set)) and type(obj) in (list, tuple, set):
        return type(obj)(as_nested_dict(item, dct_class) for item in obj)
    return obj


def merge_dicts(d1: MutableMapping[Any, Any], d2: Mapping[Any, Any]) -> MutableMapping[Any, Any]:
    """Return a new mapping of `d1`'s type: `d2` merged deeply over `d1`; neither argument is changed."""
    new: MutableMapping[Any, Any] = d1.copy() if hasattr(d1, "copy") else dict(d1)
    for key, value in d2.items():
        if isinstance(value, Mapping) and isinstance(new.get(key), MutableMapping):
            new[key] = merge_dicts(new[key], value)
        else:
            new[key] = value
    return new


class CompoundKey(tuple[Any, ...]):
    """The path to a leaf of a nested dictionary; a tuple of its keys."""


def dict_to_flatdict(dct: Mapping[Any, Any], parent: CompoundKey | None = None) -> dict[CompoundKey, Any]:
    """Return `{path: leaf}` for every leaf of a nested mapping; an empty mapping has no leaves."""
    flat: dict[CompoundKey, Any] = {}
    for key, value in dct.items():
        path = CompoundKey((*(parent or ()), key))
        if isinstance(value, Mapping):
            flat.update(dict_to_flatdict(value, path))
        else:
            flat[path] = value
    return flat


def flatdict_to_dict(dct: Mapping[Any, Any], dct_class: type | None = None) -> Any:
    """Return the nested mapping (of class `dct_class`, default the type of `dct`) that `dict_to_flatdict` flattened."""
    make = dct_class or type(dct)
    nested = make()
    for path, value in dct.items():
        if not isinstance(path, CompoundKey):
            nested[path] = value
            continue
        level = nested
        for key in path[:-1]:
            if key not in level:
                level[key] = make()
            level = level[key]
        level[path[-1]] = value
    return nested


def flatten_seq(seq: Iterable[Any]) -> Iterator[Any]:
    """Yield the items of nested iterables, depth first; strings and bytes are items, not iterables."""
    stack = [iter(seq)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, Iterable) and not isinstance(item, (str, bytes)):
                stack.append(iter(item))
                break
            yield item
        else:
            stack.pop()
