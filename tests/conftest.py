"""Settings of the whole suite."""

from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("rtloom", deadline=None)
settings.load_profile("rtloom")
