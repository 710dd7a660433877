"""How long the demonstration takes from its command to all twins in step.

The environment is set up before; the figure is the demonstration's own, from the start of its
process's work until the last of 100 twins heard its meter.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from metertwin.bus.server import free_port

METERS_COUNT = 100
GOAL_S = 15.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "metertwin.cli", "demo", "--headless", "--for", "1"]
        command += ["--meters", str(METERS_COUNT), "--report", str(report)]
        command += ["--state", f"{folder}/demo", "--port", str(free_port())]
        subprocess.run(command, check=True, stdout=sys.stderr)
        in_step_s = float(json.loads(report.read_text())["in_step_s"])
    row = {
        "name": "demo of 100 meters until all twins in step",
        "goal": GOAL_S,
        "figure": in_step_s,
        "unit": "s",
        "ratio": in_step_s / GOAL_S,
        "ok": in_step_s <= GOAL_S,
    }
    print(json.dumps([row]) if "--json" in sys.argv else row)


if __name__ == "__main__":
    main()
