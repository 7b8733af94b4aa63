{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.problem

{#- A minion without a master has nobody to tell. -#}
{%- if opts.file_client != "local" %}
{%- for state, arguments in wanted.get("drift", {}).items() %}
# Lasts over a restart of the minion. The master learns of drift by events, not by the returns of this job.
sshtrail drift:
  {{ state }}:
{%- for name, value in arguments.items() %}
    - {{ name }}: {{ value | json }}
{%- else %} []
{%- endfor %}
{%- endfor %}
{%- endif %}
