"""
The wing of sshd_config: its language, what is allowed, what to change, and the sshd that has to take it up.
"""
