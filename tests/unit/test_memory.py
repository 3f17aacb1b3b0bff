"""What is free of the memory: of the machine, and of the container where that is less."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from cikg import memory


def group(folder: Path, limit: str, used: int, in_files: int) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used}\ninactive_file {in_files}\nactive_file {in_files}\n")
    return folder


def test_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    group(tmp_path, "max", 2**30, 0)
    assert memory.available_memory() > 2**28, "a container without a limit has the machine's"


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", group(tmp_path, str(2**20), 700_000, 100_000))
    assert memory.available_memory() == 2**20 - 700_000 + 2 * 100_000
