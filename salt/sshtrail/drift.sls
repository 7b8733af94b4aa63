{#- A minion without a master has nobody to tell. -#}
{%- if opts.file_client != "local" %}
{%- for state, arguments in salt["sshtrail.arguments"]()["drift"].items() %}
# Lasts over a restart of the minion. The master learns of drift by events, not by the returns of this job.
sshtrail drift:
  {{ state }}:
{%- for name, value in arguments.items() %}
    - {{ name }}: {{ value | json }}
{%- else %} []
{%- endfor %}
{%- endfor %}
{%- endif %}
