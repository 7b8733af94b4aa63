"""
The wing of PAM: how it reads the stack of a service, every way through it, and the line that sets the loginuid.
"""
