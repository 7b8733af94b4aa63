{%- set wanted = salt["sshtrail.wanted"]() if "sshtrail.wanted" in salt else {} %}
include:
  - sshtrail.problem
{%- if "auditd config" in wanted %}
  - sshtrail.packages
  - sshtrail.rules

# One that has suspended its log could not confirm there what it reads.
sshtrail auditd writing:
  auditd_conf.writing:
{%- for name, value in wanted["auditd writing"]["auditd_conf.writing"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshtrail_package: sshtrail auditd package

# A running auditd takes up the change by a signal, within this state: a restart would reload every rule
# with -D first and leave a moment in which nothing is recorded.
sshtrail auditd config:
  auditd_conf.managed:
{%- for name, value in wanted["auditd config"]["auditd_conf.managed"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - sshtrail_package: sshtrail auditd package

sshtrail auditd service:
  sshtrail_service.running:
{%- for name, value in wanted["auditd service"]["sshtrail_service.running"].items() %}
    - {{ name }}: {{ value | json }}
{%- endfor %}
    - require:
      - auditd_conf: sshtrail auditd config
{%- endif %}
