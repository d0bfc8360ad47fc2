"""Settings of the whole suite."""

import os

from hypothesis import settings

from sim.cache import cache_root

# A busy machine is no failure.
settings.register_profile("rtloom", deadline=None)
settings.load_profile("rtloom")

# Each simulation is a process of its own, which would compile all modules anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = str(cache_root().parent / "pycache")
