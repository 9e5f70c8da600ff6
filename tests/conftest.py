"""How many examples hypothesis tries; and Ctrl-C, which tests send themselves.

COFM_HYPOTHESIS=thorough python -m pytest tests/properties
"""

import os
import signal

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

# The same examples in every run, so that a change is to blame for what fails.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=20, suppress_health_check=_SLOW
)
settings.register_profile(
    "thorough", deadline=None, max_examples=1000, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("COFM_HYPOTHESIS", "ci"))

# A shell starts what runs in its background deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
