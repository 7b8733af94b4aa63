{#- Nothing of an event is believed but that somebody woke the master: the runner looks at what that minion claims in the
    mine, under the name that the master has authenticated. An id is letters, digits and a few signs, or nothing is done. -#}
{%- set minion = data.get("id") %}
{%- if minion is string and minion | regex_match("([A-Za-z0-9][A-Za-z0-9._@-]*)\\Z") %}
{#- Somebody who is at work takes who lies in the queue. A job of the runner for each would cost as much as a repair, and
    more with every key that the master has. First left, then asked: who has just ended looks there once more. #}
{%-   set place = opts.cachedir ~ "/sshtrail/" if "file.touch" in salt else "" %}
{%-   set works = place and salt["file.file_exists"](place ~ "repairs.working")
         and salt["file.file_exists"](opts.pki_dir ~ "/minions/" ~ minion)
         and salt["file.touch"](place ~ "queue/" ~ minion)
         and None | strftime("%s") | int < salt["file.stats"](place ~ "repairs.working").mtime + 5 %}
{%-   if not works %}
repair of drift:
  runner.sshtrail.remediate:
    - args:
      - minion: {{ minion | json }}
{%-   endif %}
{%- endif %}
