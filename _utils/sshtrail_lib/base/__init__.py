"""
What every wing stands on: files, processes, the kernel's audit subsystem, and the one path of every state.
"""
