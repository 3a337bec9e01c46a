"""Scripts fail as commands do: what the user can mend is one line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from service.errors import InterestsError


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main."""
    try:
        main()
    except InterestsError as error:
        sys.stderr.write(f"{error.line()}\n")
        sys.exit(2)
