"""What the server of processes in test_faults imports.

So each process has its data and its modules when it starts.
"""

from small import small_config, small_data

from helpers.training import Trainer

Trainer(small_config(), small_data(), progress=False)
