"""What the course needs and does not teach: errors, files, settings, checkpoints, speed.

Nothing here imports the core, but for `fast` and `plain`, which are two more forms of the
network in `helpers.model`.
"""
