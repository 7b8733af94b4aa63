# What every host must end up with. An environment overrides single values, and adds rule groups. What a host changed
# for an environment it gives back when it leaves it.
sshtrail:
  layers:
    common:
      full: resume                            # a log that auditd suspended goes on when there is room; or leave. It is told
      sshd:
        config:
          # sshd's own default is no, and without PAM no session has a login id: its commands match no rule.
          UsePAM: 'yes'
          LogLevel: VERBOSE
          SyslogFacility: AUTHPRIV
        # admins: [alice, deploy]             # no change may lock these accounts out; without any, somebody must get in
      auditd:
        config:
          # With any of these otherwise nothing would be recorded; a policy that asks for it is refused.
          write_logs: 'yes'
          local_events: 'yes'
          log_format: enriched                # or raw; as packages ship it
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
          # cis: true                         # or stig, pci_dss, or any group: see docs/audit-rules.md
        status:
          enabled: 1
          backlog_limit: 8192                 # records that wait for auditd; a kernel that nobody told has 64
          backlog_wait_time: 60000            # kernel ticks that a process waits when there are more, before one is lost
          rate_limit: 0                       # records a second, 0 for all of them
          failure: 1                          # a lost record is told to the kernel's log
        # Rules of others that may keep records out of the log (never, or on the lists exclude, task, user and
        # filesystem). Any other is a difference in every environment, and is removed where drift is repaired.
        # allowed:
        #   - -a never,exit -F arch=b64 -S adjtimex -F auid=unset -F uid=_chrony
        # loginuid_immutable: true            # nobody changes a login id any more, root neither; until the next reboot
      proof:
        account: null                       # name one, such as sshtrail-proof, that the policy makes: see docs/prove.md
      drift:
        interval: 10                          # seconds between two looks; one at which nothing changed costs no process
        splay: 2                              # seconds at most, so that a fleet does not look in step
        action: repair                        # or report
