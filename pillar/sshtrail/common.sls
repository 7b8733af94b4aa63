# What every host must end up with. An environment overrides single values, and adds rule groups. A keyword that an
# environment sets must have a value here too, so that a host that leaves the environment leaves the value behind.
sshtrail:
  layers:
    common:
      sshd:
        config:
          LogLevel: VERBOSE
          SyslogFacility: AUTHPRIV
        # admins: [alice, deploy]             # no change may lock these accounts out; without any, somebody must get in
      auditd:
        config:
          log_file: /var/log/audit/audit.log
          max_log_file: 50                    # MiB
          max_log_file_action: keep_logs
          num_logs: 5                         # auditd's own default; counts only where logs rotate
          # keep_logs never deletes a log, so something must speak up before the disk is full: a warning in
          # syslog at a quarter left; and auditd stops writing, with an alert, while the host still has room.
          space_left: 25%
          space_left_action: syslog
          admin_space_left: 10%
          admin_space_left_action: suspend
          disk_full_action: suspend
          disk_error_action: syslog
      rules:
        groups:
          sshd: true
          session: true
          ssh_commands: true
          ssh_config: true                    # who changes what this policy is made of: drift names him by these
          audit_config: true
        status:
          enabled: 1
          backlog_limit: 8192
          failure: 1                          # a lost record is told to the kernel's log
      drift:
        interval: 10                          # seconds between two looks; one at which nothing changed costs no process
        splay: 2                              # seconds at most, so that a fleet does not look in step
        action: repair                        # or report
