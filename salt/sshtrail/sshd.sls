{%- set wanted = salt["sshtrail.arguments"]() %}
include:
  - sshtrail.packages

# Edits, validates, reloads and proves in one transaction; the service below only has to run.
sshtrail sshd config:
  sshd_config.managed:
{%- for name, value in wanted["sshd config"]["sshd_config.managed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - pkg: sshtrail sshd package

sshtrail sshd service:
  sshtrail_service.running:
{%- for name, value in wanted["sshd service"]["sshtrail_service.running"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshd_config: sshtrail sshd config
