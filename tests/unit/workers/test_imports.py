from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECK = """
import sys
import workers.tasks
print(",".join(name for name in ("torch", "sklearn", "torch_geometric", "flask") if name in sys.modules))
print(workers.tasks.work_shard.name)
"""


def test_a_worker_starts_without_the_libraries_of_training_and_of_the_dashboard(tmp_path: Path) -> None:
    environment = {**os.environ, "CIKG_HOME": str(tmp_path), "CIKG_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["", "cikg.work_shard"]
