{#- One sentence for a host that has no policy, whichever of these SLS files it is that cannot do without. -#}
{%- if "sshtrail.wanted" not in salt or "sshtrail.removal" not in salt %}
{%- set problem = "The modules of this project are not on this minion, or older than these SLS files: run saltutil.sync_all on it, then this again." %}
{%- else %}
{%- set problem = salt["sshtrail.wanted"]().get("problem") %}
{%- endif %}
{%- if problem %}
sshtrail policy:
  test.fail_without_changes:
    # In test mode this state has a comment of its own, and shows its name.
    - {{ "name" if opts.test else "comment" }}: {{ problem | json }}
{%- endif %}
