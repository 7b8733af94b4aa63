{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.problem

{%- for id in ("proof account", "proof schedule", "proof") %}
{%- if id != "proof schedule" or opts.file_client != "local" %}
{%- for state, arguments in wanted.get(id, {}).items() %}
sshtrail {{ id }}:
  {{ state }}:
{%- if id == "proof" %}
    # Once everything else is right, and before the whole policy is compared: what it finds is part of that.
    - order: -1
{%- endif %}
{%- for name, value in arguments.items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- if id == "proof schedule" and not arguments %} []
{%- endif %}

{% endfor %}
{%- endif %}
{%- endfor %}
