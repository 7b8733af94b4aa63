{%- set policy = salt["sshtrail.policy"]() %}
include:
  - sshtrail.packages

# Edits, validates, reloads and proves in one transaction; the service below only has to run.
sshtrail sshd config:
  sshd_config.managed:
    - name: {{ policy.sshd.path }}
    - config: {{ policy.sshd.config | json }}
    - matches: {{ policy.sshd.matches | json }}
    - shadowed: {{ policy.sshd.shadowed }}
    - require:
      - pkg: sshtrail sshd package

sshtrail sshd service:
  sshtrail_service.running:
    - name: {{ policy.sshd.service }}
    - require:
      - sshd_config: sshtrail sshd config
