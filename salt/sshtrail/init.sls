# One highstate turns on SSH audit logging: packages, sshd, auditd, rules, in this order. What goes wrong
# with sshd does not keep the audit rules away, and the other way round.
include:
  - sshtrail.packages
  - sshtrail.sshd
  - sshtrail.auditd
  - sshtrail.rules
