"""What the notebooks share, in three rings.

core      schema -> world -> events -> windows -> model -> losses -> training, read in this order
called    plots, widgets, forecast, futures, own_log, checks: what notebooks show and ask
support   errors, files, settings, log files, checkpoints, workers, faster and plainer layers
tools     what maintainers run at the command line

A core module imports those before it and `support`; what is called imports the core; nothing
imports `tools`.
"""
