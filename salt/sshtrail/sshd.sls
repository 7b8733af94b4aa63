{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.packages

{%- if "sshd config" in wanted %}

# Edits, validates, reloads and proves in one transaction; the service below only has to run.
sshtrail sshd config:
  sshd_config.managed:
{%- for name, value in wanted["sshd config"]["sshd_config.managed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshtrail_package: sshtrail sshd package

{%- if "sshd pam" in wanted %}

# Without this line no command of a session belongs to a login, and none is recorded.
sshtrail sshd pam:
  sshtrail_pam.loginuid:
{%- for name, value in wanted["sshd pam"]["sshtrail_pam.loginuid"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshtrail_package: sshtrail sshd package
{%- endif %}

sshtrail sshd service:
  sshtrail_service.running:
{%- for name, value in wanted["sshd service"]["sshtrail_service.running"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshd_config: sshtrail sshd config
{%- endif %}
