# salt-run state.orchestrate orch.rollout pillar='{"sshtrail_rollout": {"environment": "dev"}}'
#
# The pillar argument holds the arguments of the runner sshtrail.rollout; what happens is told and tested there.
sshtrail rollout:
  salt.runner:
    - name: sshtrail.rollout
    - kwarg: {{ pillar.get("sshtrail_rollout", {}) | json }}
