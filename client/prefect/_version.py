"""The one place that holds the version: stamped on every serialized object and sent with every request."""

__version__ = "1.5.0"
