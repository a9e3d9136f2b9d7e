"""What maintainers run at the command line, such as `python -m helpers.tools.course`.

A tool may import every other module of `helpers`; nothing imports a tool.
"""
