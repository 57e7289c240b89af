"""Benchmarks print what they found at the end of the run, under the table of pytest-benchmark."""

import os
import platform

import pytest
import torch

FOUND = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the lines of `report`."""
    config.stash[FOUND] = []


@pytest.fixture
def report(request: pytest.FixtureRequest):
    """report(line) puts a line under the results."""
    return request.config.stash[FOUND].append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines, and the machine that they are of."""
    terminalreporter.section("found")
    for line in terminalreporter.config.stash[FOUND]:
        terminalreporter.write_line(line)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    terminalreporter.write_line(
        f"on {platform.machine()} {platform.system()}, {os.cpu_count()} cores, torch {torch.__version__} "
        f"with {torch.get_num_threads()} threads{load}"
    )
