{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
# One highstate turns on SSH audit logging: packages, sshd, rules, auditd, in this order. What goes wrong
# with sshd does not keep the audit rules away, and the other way round.
include:
  - sshtrail.packages
  - sshtrail.sshd
  - sshtrail.rules
  - sshtrail.auditd
  - sshtrail.drift
  - sshtrail.proof

{%- if "drift" in wanted %}

# Starting a daemon can undo what an earlier state did (auditd's scripts reload every rule), so the whole
# policy is compared once more at the end.
sshtrail policy:
  sshtrail.verified:
    - order: last
{%- endif %}
