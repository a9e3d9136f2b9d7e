"""How fast the network is, against what one would write otherwise, and how its cost grows.

`python -m helpers.tools.benchmark` measures it. `forms` are the training steps that are compared,
`machine` notices a neighbour, `turns` lets what is compared take turns; `steps`, `uses` and
`processes` are the measurements: of training steps, of what a trained network is used for, and of
what needs a process of its own.
"""
