{%- set policy = salt["sshtrail.policy"]() %}
{%- if policy.audit %}
include:
  - sshtrail.packages

# Before auditd is started: its start scripts load the compiled file, which is right by then.
sshtrail rules:
  audit_rules.managed:
    - name: {{ policy.rules.file }}
    - groups: {{ policy.rules.groups | json }}
    - unknown: {{ policy.rules.unknown }}
    - status: {{ policy.rules.status | json }}
    - immutable: {{ policy.rules.immutable | json }}
    - require:
      - pkg: sshtrail auditd package
{%- endif %}
