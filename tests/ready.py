"""What the server of processes in conftest.py imports, so that each has its data at its start."""

from small import small_run

from helpers import widgets  # noqa: F401

small_run()
