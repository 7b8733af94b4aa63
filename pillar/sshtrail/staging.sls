# Staging: prod's policy, so that what breaks breaks here; rules that it does not know are reported.
sshtrail:
  environment: staging
  layers:
    staging:
      rules:
        unknown: report
