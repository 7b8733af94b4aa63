{%- set policy = salt["sshtrail.policy"]() %}
{%- if policy.audit %}
include:
  - sshtrail.auditd

# After auditd: its start loads the compiled rules by itself, and this looks at what the kernel then holds.
sshtrail rules:
  audit_rules.managed:
    - name: {{ policy.rules.file }}
    - groups: {{ policy.rules.groups | json }}
    - unknown: {{ policy.rules.unknown }}
    - status: {{ policy.rules.status | json }}
    - immutable: {{ policy.rules.immutable | json }}
    - require:
      - service: sshtrail auditd service
{%- endif %}
