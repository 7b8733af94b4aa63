{%- set policy = salt["sshtrail.policy"]() %}
sshtrail sshd package:
  pkg.installed:
    - name: {{ policy.sshd.package }}
{%- if policy.audit %}

sshtrail auditd package:
  pkg.installed:
    - name: {{ policy.auditd.package }}
{%- endif %}
