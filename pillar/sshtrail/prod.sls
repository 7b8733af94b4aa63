# Production: an earlier warning, since nobody may lose a record here.
sshtrail:
  environment: prod
  layers:
    prod:
      auditd:
        config:
          space_left: 40%
          admin_space_left: 15%
      proof:
        interval: 86400                     # seconds: once a day a login is made and followed to the log
      rules:
        unknown: report
