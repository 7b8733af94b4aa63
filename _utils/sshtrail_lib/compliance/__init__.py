"""
What auditors ask: the controls of standards, answered by what the kernel, the daemons and the files really are.
"""
