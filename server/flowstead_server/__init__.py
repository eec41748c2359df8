"""The API server: `python -m flowstead_server` runs one process of it; `app` puts its layers together."""
