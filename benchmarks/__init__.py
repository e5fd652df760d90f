"""What reading and replaying cost, measured against the project's targets: ``python -m benchmarks``."""
