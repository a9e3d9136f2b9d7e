"""What the server of processes in test_faults imports, so that each one has its data and its modules when it starts."""
from helpers.training import Trainer
from small import small_config, small_data

Trainer(small_config(), small_data(), progress=False)
