{#- Nothing of an event is believed but that somebody woke the master: the runner looks at what that minion claims in the
    mine, under the name that the master has authenticated. An id is letters, digits and a few signs, or nothing is done. -#}
{%- set minion = data.get("id") %}
{%- if minion is string and minion | regex_match("([A-Za-z0-9][A-Za-z0-9._@-]*)\\Z") %}
repair of drift:
  runner.sshtrail.remediate:
    - args:
      - minion: {{ minion | json }}
{%- endif %}
