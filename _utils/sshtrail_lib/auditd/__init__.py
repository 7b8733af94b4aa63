"""
The wing of auditd.conf: its language, what is allowed, what to change, and the auditd that has to take it up.
"""
