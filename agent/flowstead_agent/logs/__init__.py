"""What an agent writes into the logs of flow runs."""
