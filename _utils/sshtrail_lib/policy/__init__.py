"""
From the pillar to one validated policy, and from that to the arguments of every state.
"""
