# Brings a host back to what it was before the first highstate: every file byte for byte, where nobody else has changed
# it since. What stays is told by the last state. The pillar need not hold a policy any more.
{%- if "sshtrail.removal" not in salt %}
include:
  - sshtrail.problem
{%- else %}
{%- for id, state, arguments in salt["sshtrail.removal"]() %}
{{ id | json }}:
  {{ state }}:
    - order: {{ loop.index }}
{%- for name, value in arguments.items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{% endfor %}
{%- endif %}
