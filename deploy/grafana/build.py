"""`python -m deploy.grafana.build`: write `dashboards/*.json`, which Grafana imports.

A test holds the files in step with the modules beside this one.
"""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.capacity import CAPACITY
from deploy.grafana.panels import Dashboard, to_json
from deploy.grafana.service import SERVICE
from deploy.grafana.students import STUDENTS
from service.files import whole_file

DASHBOARDS = (SERVICE, STUDENTS, CAPACITY)
FOLDER = Path(__file__).parent / "dashboards"


def rendered(dashboard: Dashboard) -> str:
    """The text of a dashboard's file."""
    return json.dumps(to_json(dashboard), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files."""
    for dashboard in DASHBOARDS:
        with whole_file(FOLDER / f"{dashboard.name}.json") as file:
            file.write(rendered(dashboard).encode())


if __name__ == "__main__":
    main()
