"""
Many hosts from the master: how each stands, how a rollout goes, and which drift is repaired.
"""
