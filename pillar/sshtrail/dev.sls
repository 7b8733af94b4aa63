# Development: the same records, but the oldest go before anyone has to look after a disk (400 MiB at most),
# and rules that others load are their business. Drift is told and left alone: here people try things out.
sshtrail:
  environment: dev
  layers:
    dev:
      auditd:
        config:
          max_log_file_action: rotate
          num_logs: 8
      rules:
        unknown: keep
      drift:
        action: report
