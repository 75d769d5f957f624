"""Real servers on free loopback ports, in a folder of their own, without systemd and without containers.

Standard library alone: it runs before anything of the project is installed.
"""
