"""The subcommands of `interests`."""
