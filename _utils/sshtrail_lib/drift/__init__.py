"""
How a host differs from its policy, whether that can have changed, and what is told of it.
"""
