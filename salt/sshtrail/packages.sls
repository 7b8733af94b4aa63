{%- set wanted = salt["sshtrail.arguments"]() %}
sshtrail sshd package:
  pkg.installed:
{%- for name, value in wanted["sshd package"]["pkg.installed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- if "auditd package" in wanted %}

sshtrail auditd package:
  pkg.installed:
{%- for name, value in wanted["auditd package"]["pkg.installed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- endif %}
