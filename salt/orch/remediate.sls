# salt-run state.orchestrate orch.remediate pillar='{"sshtrail_remediate": {"minion": "web1"}}'
#
# The pillar argument holds the arguments of the runner sshtrail.remediate; without it, all that drift are repaired. The
# runner applies the SLS sshtrail, in batches, one run at a time; what it believes and when it stops is told there.
sshtrail remediate:
  salt.runner:
    - name: sshtrail.remediate
    - kwarg: {{ pillar.get("sshtrail_remediate", {}) | json }}
