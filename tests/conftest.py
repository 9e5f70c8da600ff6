"""How many examples hypothesis tries, which tests are slow, and Ctrl-C.

COFM_HYPOTHESIS=thorough python -m pytest tests/properties
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Processes that test beside each other share the cores; before NumPy is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

# The same examples in every run, so that a change is to blame for what fails.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=20, suppress_health_check=_SLOW
)
settings.register_profile(
    "thorough", deadline=None, max_examples=1000, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("COFM_HYPOTHESIS", "ci"))

# Whole programs, processes, browsers and real models; left out unless asked for. In
# other files, single tests are marked as slow.
SLOW = (
    "annotation/test_labeller_in_browser.py",
    "annotation/test_labeller_keys.py",
    "annotation/test_labeller_panels.py",
    "annotation/test_processes.py",
    "benchmarks",
    "docs/test_code.py",
    "encoders/test_image_journey.py",
    "encoders/test_image_loops.py",
    "examples",
    "properties/test_endure.py",
    "properties/test_fuzz.py",
    "properties/test_session_sequences.py",
    "query/test_distributed.py",
    "simulation/test_text_loops.py",
    "test_contributing.py",
    "test_extras.py",
    "test_import.py",
    "test_main.py",
)


def pytest_collection_modifyitems(items):
    """Mark what is slow, in one place."""
    here = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(here / name) for name in SLOW):
            item.add_marker(pytest.mark.slow)


# A shell starts what runs in its background deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
