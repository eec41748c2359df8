"""The agents of `flowstead_agent` at the import paths of 1.x; each module loads its agent when it is asked for."""
