base:
  '*':
    - sshtrail
