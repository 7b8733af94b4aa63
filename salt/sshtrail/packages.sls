{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.problem{%- if "sshd package" in wanted %}

sshtrail sshd package:
  sshtrail_package.installed:
{%- for name, value in wanted["sshd package"]["sshtrail_package.installed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- endif %}
{%- if "auditd package" in wanted %}

sshtrail auditd package:
  sshtrail_package.installed:
{%- for name, value in wanted["auditd package"]["sshtrail_package.installed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- endif %}
