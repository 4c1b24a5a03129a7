"""Settings shared by the Python tests."""

from hypothesis import settings

# Timing belongs to benchmarks, not to a machine that builds something else beside; examples are the same every time.
settings.register_profile("rxpool", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("rxpool")
