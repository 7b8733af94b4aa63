"""
What the host recorded: the audit log and sshd's log as text that nobody may trust, and who did what by it.
"""
