"""The command line: one file a verb, one table of verbs, every heavy import made inside its verb."""

from edgeseg.cli.app import main

__all__ = ["main"]
