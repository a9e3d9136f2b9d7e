"""What the notebooks share. Data flows one way: each module imports only those listed before it.

schema -> world -> events -> windows -> model -> losses -> training -> plots
"""
