"""What the course needs and does not teach: errors, files, settings, checkpoints, speed.

Nothing here imports the core, but for `fast` and `plain`: two more forms of `helpers.model`'s network.
"""
