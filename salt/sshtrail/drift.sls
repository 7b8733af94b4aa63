{#- A minion without a master has nobody to tell. -#}
{%- set drift = salt["sshtrail.policy"]().drift %}
{%- if opts.file_client != "local" %}
# Lasts over a restart of the minion. The master learns of drift by events, not by the returns of this job.
sshtrail drift:
{%- if drift.interval %}
  schedule.present:
    - function: sshtrail_watch.tick
    - seconds: {{ drift.interval }}
    - splay: {{ drift.splay }}
    - maxrunning: 1
    - return_job: False
    - jid_include: False
    - run_on_start: True
{%- else %}
  schedule.absent
{%- endif %}
{%- endif %}
