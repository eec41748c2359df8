"""`python -m prefect`: the same as the `prefect` command."""

from flowstead_cli.main import main

if __name__ == "__main__":
    main()
