{%- set policy = salt["sshtrail.policy"]() %}
{%- if policy.audit %}
include:
  - sshtrail.packages
  - sshtrail.rules

# A running auditd takes up the change by a signal, within this state: a restart would reload every rule
# with -D first and leave a moment in which nothing is recorded.
sshtrail auditd config:
  auditd_conf.managed:
    - name: {{ policy.auditd.path }}
    - config: {{ policy.auditd.config | json }}
    - require:
      - pkg: sshtrail auditd package

sshtrail auditd service:
  sshtrail_service.running:
    - name: {{ policy.auditd.service }}
    - require:
      - auditd_conf: sshtrail auditd config
{%- endif %}
