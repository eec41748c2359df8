"""The methods of `prefect.Client`, one module per noun; `prefect.client.client` puts them together."""
