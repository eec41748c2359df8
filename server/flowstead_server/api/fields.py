"""Root fields whose decorators keep the type of what they decorate, which strawberry's own do not say."""

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry

Resolver = TypeVar("Resolver", bound=Callable[..., object])


def query(description: str) -> Callable[[Resolver], Resolver]:
    """Make a method a field of `Query`, described for readers of the schema."""
    return cast("Callable[[Resolver], Resolver]", strawberry.field(description=description))


def mutation(description: str) -> Callable[[Resolver], Resolver]:
    """Make a method a field of `Mutation`, described for readers of the schema."""
    return cast("Callable[[Resolver], Resolver]", strawberry.mutation(description=description))


def subscription(description: str) -> Callable[[Resolver], Resolver]:
    """Make a method a field of `Subscription`, described for readers of the schema."""
    return cast("Callable[[Resolver], Resolver]", strawberry.subscription(description=description))
