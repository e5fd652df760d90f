"""Is imported by every Python that has this folder in PYTHONPATH, before anything else: the time is simulated there."""

import os

if "SIMULATED_TIME" in os.environ:
    import simulated_process

    simulated_process.join()
