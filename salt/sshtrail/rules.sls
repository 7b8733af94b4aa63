{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.problem
{%- if "rules" in wanted %}
  - sshtrail.packages

# Before auditd is started: its start scripts load the compiled file, which is right by then.
sshtrail rules:
  audit_rules.managed:
{%- for name, value in wanted["rules"]["audit_rules.managed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
{%- if "auditd package" in wanted %}
    - require:
      - sshtrail_package: sshtrail auditd package
{%- endif %}
{%- endif %}
