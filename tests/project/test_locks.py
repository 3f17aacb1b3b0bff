"""The lock files pin everything that `pyproject.toml` asks for, with hashes, and name no server."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-test.lock"]
NPM_LOCKS = ["web/assets/package-lock.json", "tests/browser/package-lock.json"]


def pins(name: str) -> dict[tuple[str, str], tuple[Version, frozenset[str]]]:
    """Package and marker → version and hashes; proves that a lock holds nothing else."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip()):
        first, *hashes = block.replace(" \\\n", "\n").splitlines()
        requirement = Requirement(first)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", first
        assert requirement.url is None, first
        assert hashes, f"{first} has no hash"
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in hashes), first
        key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
        found[key] = (Version(specifier.version), frozenset(line.strip() for line in hashes))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_server_and_no_machine(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.findall(r"^.*(?:://|--index|--extra-index|--find-links|file:|^-e ).*$", text, re.MULTILINE)


def test_the_tests_lock_contains_the_other() -> None:
    runtime, test = ({(key[0], *pin) for key, pin in pins(name).items()} for name in LOCKS)
    assert runtime <= test


@pytest.mark.parametrize(("name", "extras"), [(LOCKS[0], ["setup"]), (LOCKS[1], ["setup", "test"])])
def test_lock_satisfies_the_project(name: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    locked: dict[str, list[Version]] = {}
    for (package, _marker), (version, _hashes) in pins(name).items():
        locked.setdefault(package, []).append(version)
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not locked: `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: `make lock`"


def test_the_project_is_built_with_what_is_locked() -> None:
    """Set-up builds the checkout without isolation, so that nothing unhashed is fetched."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    locked = {package: version for (package, _), (version, _) in pins(LOCKS[0]).items()}
    assert all(requirement.specifier.contains(locked[requirement.name]) for requirement in map(Requirement, build))
    assert "editables" in locked, "hatchling needs it for an editable installation"


@pytest.mark.parametrize("name", NPM_LOCKS)
def test_npm_lock_holds_digests_and_names_no_server(name: str) -> None:
    lock = json.loads((ROOT / name).read_text(encoding="utf-8"))
    packages = {path: entry for path, entry in lock["packages"].items() if path}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not [path for path, entry in packages.items() if "resolved" in entry], "omit-lockfile-registry-resolved"
