"""The subcommands of `interests` that belong to the model plane: options, and what is shown.

The work itself is done in the other packages of `models`.
"""
