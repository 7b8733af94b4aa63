"""
The page itself, for Jinja2 with autoescape: all that hosts told is text, wherever it stands.
"""

MACROS = """\
{% macro tag(colour, text) %}<span class="tag {{ colour }}">{{ text }}</span>{% endmacro %}
{% macro name(text) %}<bdi>{{ text }}</bdi>{% endmacro %}
{% macro names(several, left=0) %}
{% for one in several %}{{ name(one) }}{{ ", " if not loop.last }}{% endfor %}
{% if left %} and {{ left }} more{% endif %}
{% endmacro %}
{% macro more(left, what) %}
{% if left > 0 %}<p class="soft">{{ left }} more {{ what }} are left off this page.</p>{% endif %}
{% endmacro %}
{% macro hosts_of(several) %}{{ several|length }} {{ "host" if several|length == 1 else "hosts" }}{% endmacro %}
{% macro tools(id, what, choices=()) %}
<form class="tools" data-filters="{{ id }}">
<label>Filter {{ what }}<input type="search" autocomplete="off" spellcheck="false"></label>
{% for key, title, values in choices %}
<label>{{ title }}<select name="{{ key }}"><option value="">all</option>
{% for value in values %}<option>{{ value }}</option>{% endfor %}
</select></label>
{% endfor %}
<span class="soft" role="status"></span></form>
{% endmacro %}
{% macro table(id, label, heads, caption="") %}
<div class="wide" tabindex="0" role="region" aria-label="Table: {{ label }}">
<table class="sorts" id="{{ id }}">{% if caption %}<caption>{{ caption }}</caption>{% endif %}
<thead><tr>{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{{ caller() }}</tbody></table></div>
{% endmacro %}
{% macro section(id, title) %}
<section id="{{ id }}" aria-labelledby="h-{{ id }}">
<h2 id="h-{{ id }}">{{ title }}</h2>
{{ caller() }}</section>
{% endmacro %}
{% macro whys(rows) %}
<ul class="list">
{% for row in rows[:300] %}<li>{{ name(row.host) }}: {{ tag(row.colour, row.why) }}</li>
{% endfor %}</ul>{{ more(rows|length - 300, "hosts") }}
{% endmacro %}
"""

HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
 script-src 'sha256-{{ digest }}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>SSH trail: {{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>SSH trail: {{ title }}</h1>
<p class="soft">As of {{ now }}. Sessions, failures and changes since {{ since }}. All times are UTC.</p>
<nav aria-label="Sections"><ul>
{% for id, said in sections %}<li><a href="#{{ id }}">{{ said }}</a></li>
{% endfor %}</ul></nav>
</header>
<main>
"""

GLANCE = """
{% call section("glance", "At a glance") %}
{% set blind = hosts|selectattr("recording", "equalto", "no")|list|length %}
<ul class="cards">
<li class="info"><b>{{ hosts|length }}</b>{{ "host" if hosts|length == 1 else "hosts" }}</li>
{% for standing, count, colour in counts %}<li class="{{ colour }}"><b>{{ count }}</b>{{ standing }}</li>
{% endfor %}
<li class="{{ 'bad' if blind else 'good' }}"><b>{{ blind }}</b>do not record what people do</li>
<li class="{{ 'odd' if unseen else 'good' }}"><b>{{ unseen|length }}</b>do not tell whether they record</li>
<li class="info"><b>{{ all_sessions }}</b>sessions told</li>
</ul>
{{ standing_bar }}
{% if not hosts %}
<p class="empty">No host was asked: the target matches nobody.</p>
{% else %}
{% set standings = counts|map(attribute=0)|list %}
{{ tools("hosts", "hosts", [("standing", "Standing", standings), ("environment", "Environment", environments)]) }}
{% call table("hosts", "hosts", ["Host", "Environment", "Standing", "Records", "Last proof", "Looked",
 "Controls pass", "Differences"], "Every host that was asked. One that did not answer is here too.") %}
{% for host in hosts %}
<tr data-row data-standing="{{ host.standing }}" data-environment="{{ host.environment }}">
<th scope="row">{{ name(host.name) }}<br> <span class="soft">{{ host.system }}</span></th>
<td>{{ host.environment }}</td>
<td>{{ tag(host.colour, host.standing) }}
{% if host.silent and host.silent != host.standing %}<br>{{ host.silent }}{% endif %}</td>
<td>{{ tag(host.recording_colour, host.recording) }}</td>
<td>{{ tag(host.proof_colour, host.proof) }}{% if host.proof_lost %}<br>{{ host.proof_lost }}{% endif %}</td>
<td data-value="{{ host.looked_seconds }}">{{ host.looked }}</td><td>{{ host.percent }}</td>
<td class="long" data-value="{{ host.differences if host.compared else -1 }}">
{{- host.differences if host.compared else "not told" }}
{% for said in host.said %}<br><span class="mono">{{ said }}</span>{% endfor %}
{% if host.differences > 3 %}<br>and {{ host.differences - 3 }} more{% endif %}</td></tr>
{% endfor %}
{% endcall %}
{% endif %}
{% endcall %}
"""

RECORDING = """
{% call section("recording", "What is not recorded") %}
<p>Each known way in which what people do leaves no record. While one that hides commands is open, an empty list of
sessions says nothing.</p>
{% if ways.rows %}
{{ tools("ways", "ways") }}
{% call table("ways", "ways", ["Host", "Way", "State", "Hides commands", "Since", "What was seen", "What to do"]) %}
{% for row in ways.rows %}
<tr data-row><th scope="row">{{ name(row.host) }}</th><td>{{ row.check }}</td><td>{{ tag(row.colour, row.holds) }}</td>
<td>{{ "yes" if row.hides else "no" }}</td><td>{{ row.since or "not known" }}</td>
<td class="long">{{ row.what }}: <span class="mono">{{ row.evidence }}</span></td>
<td class="long">{{ row.remedy }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(ways.left, "ways") }}
{% elif unseen|length == hosts|length %}
<p class="empty">No host has told whether it records: nothing can be said.</p>
{% else %}
<p class="empty">On each host that has told, every known way was looked at, and none is open.</p>
{% endif %}
{% if unseen %}
<details><summary>{{ hosts_of(unseen) }} not telling whether they record</summary>
<p>{{ names(unseen[:200], [unseen|length - 200, 0]|max) }}</p></details>
{% endif %}
{% endcall %}
"""

DIFFERS = """
{% call section("differs", "What differs from the policy") %}
{% if differences.rows %}
{{ tools("differences", "differences") }}
{% call table("differences", "differences", ["Host", "Layer", "What", "Is", "Should be", "Since", "Who"]) %}
{% for row in differences.rows %}
<tr data-row><th scope="row">{{ name(row.host) }}</th><td>{{ row.layer }}</td><td class="long mono">{{ row.what }}</td>
<td class="mono">{{ row.actual }}</td><td class="mono">{{ row.expected }}</td><td>{{ row.since }}</td>
<td>{{ row.who }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(differences.left, "differences") }}
{% elif silent|length == hosts|length %}
<p class="empty">No host has answered: whether something differs is not known.</p>
{% else %}
<p class="empty">Nothing differs on the hosts that answered.</p>
{% endif %}
{% if undiffered %}<h3>Not told</h3>{{ whys(undiffered) }}{% endif %}
{% endcall %}

{% call section("changed", "What changed, and who did it") %}
{% if changes.rows %}
{{ tools("changes", "changes") }}
{% call table("changes", "changes", ["From", "To", "Lasted", "Host", "What", "Was then", "Should be", "By"],
 "What began to differ from the policy since " ~ since ~ ", the newest first.") %}
{% for row in changes.rows %}
<tr data-row><td>{{ row.from }}</td><td>{{ row.to }}</td><td data-value="{{ row.seconds }}">{{ row.lasted }}</td>
<th scope="row">{{ name(row.host) }}</th><td class="long mono">{{ row.what }}</td><td class="mono">{{ row.actual }}</td>
<td class="mono">{{ row.expected }}</td><td>{{ row.by }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(changes.left, "changes") }}
{% else %}
<p class="empty">{{ "No host that has a history saw anything change since then." if proofs else
 "No host has a history to tell of." }}</p>
{% endif %}
{% endcall %}
"""

SESSIONS = """
{% call section("sessions", "Sessions") %}
{% if sessions.rows %}
{{ days_chart }}
<h3>Who used which account</h3>
{{ tools("accounts", "accounts, by day, account, person or host") }}
{% call table("accounts", "who used which account", ["Day", "Account", "Person", "Sessions", "Hosts", "From"]) %}
{% for row in accounts.rows %}
<tr data-row><td>{{ row.day }}</td><th scope="row">{{ name(row.account) }}</th>
<td>{% if row.person == unnamed %}{{ tag("odd", row.person) }}
{%- else %}<b>{{ name(row.person) }}</b>{% endif %}</td>
<td>{{ row.count }}</td><td>{{ names(row.hosts, row.hosts_left) }}</td>
<td>{{ names(row.addresses, row.addresses_left) }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(accounts.left, "rows") }}
<h3>Each session, with its commands</h3>
<details><summary>By person</summary><ul class="list">
{% for person, count in people %}<li>{{ name(person) }}: {{ count }}</li>
{% endfor %}</ul></details>
{{ tools("logins", "sessions, by person, account, host, key, address or command",
 [("person", "Person", people|map(attribute=0)|list)]) }}
<div id="logins">
{% for row in sessions.rows %}
<details data-row data-person="{{ row.person }}"><summary><b>{{ name(row.person) }}</b> as {{ name(row.account) }} on
<b>{{ name(row.host) }}</b>, {{ row.started }}, {{ tag("good" if row.state == "open" else "dim", row.state) }}
{{ row.count }} commands</summary>
<p class="soft">from {{ row.address }} by {{ row.method }}, key <span class="mono">{{ row.key }}</span>,
until {{ row.ended }}; session <span class="mono">{{ row.id }}</span></p>
{% if row.unknown %}<p>{{ tag("odd", "not known") }} {{ row.unknown|join("; ") }}</p>{% endif %}
{% if row.became %}<ul class="list">{% for said in row.became %}<li>{{ said }}</li>{% endfor %}</ul>{% endif %}
{% if row.list %}
<table><thead><tr><th scope="col">Time</th><th scope="col">As</th><th scope="col">Command</th></tr></thead><tbody>
{% for one in row.list %}
<tr><td>{{ one.time }}</td><td>{{ one.as }}</td><td class="long mono">{{ one.what }}
{% if one.result %}{{ tag("warn", one.result) }}{% endif %}</td></tr>
{% endfor %}
</tbody></table>
{% elif row.count == 0 %}
<p class="soft">The records hold no command of it.</p>
{% endif %}
{% if row.more %}<p class="soft">{{ row.more }} more commands:
<code>salt '{{ row.host }}' sshtrail_trail.session '{{ row.id }}'</code></p>{% endif %}
</details>
{% endfor %}
</div>{{ more(sessions.left, "sessions") }}
{% else %}
<p class="empty">No host has told of a session. That is no proof that nobody logged in: what each host says of it stands
below.</p>
{% endif %}
{% if untold %}
<details{{ " open" if not sessions.rows and untold|length <= 20 }}>
<summary>{{ hosts_of(untold) }} without a session here, and why</summary>{{ whys(untold) }}</details>
{% endif %}
{% endcall %}

{% call section("failures", "Failed logins by source") %}
{% if failures.rows %}
{{ failures_bar }}
<p>{% for source, count in failures_sources %}{{ tag("dim", source ~ ": " ~ count) }}
{% endfor %}</p>
{{ tools("failed", "failures") }}
{% call table("failed", "failed logins", ["Source", "Account", "Method", "Host", "Times", "First", "Last"]) %}
{% for row in failures.rows %}
<tr data-row><th scope="row">{{ row.source }}</th><td>{{ name(row.user) }}</td><td>{{ row.method }}</td>
<td>{{ name(row.host) }}</td><td>{{ row.count }}</td><td>{{ row.first }}</td><td>{{ row.last }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(failures.left, "rows") }}
{% else %}
<p class="empty">No host has told of a failed login.</p>
{% endif %}
{% if failures_untold %}
<details><summary>{{ hosts_of(failures_untold) }} not telling, and why</summary>{{ whys(failures_untold) }}</details>
{% endif %}
{% endcall %}
"""

COMPLIANCE = """
{% call section("compliance", "Compliance") %}
<p>Judged by the kernel's rules, sshd's effective values and the files as they are. What is accepted, manual or unknown
is no pass.</p>
{% if not frameworks %}<p class="empty">No host has told how it stands to a control.</p>{% endif %}
{% if frameworks %}
<h3>Which controls fail, and why</h3>
{% if failing.rows %}
{{ tools("failing", "controls that fail") }}
{% call table("failing", "controls that fail", ["Control", "What it asks", "Hosts", "Why", "What would do it"]) %}
{% for row in failing.rows %}
<tr data-row><th scope="row">{{ row.control }}</th><td>{{ row.title }}</td>
<td data-value="{{ row.count }}">{{ names(row.hosts, row.left) }}
{%- if row.accepted %}<br><span class="soft">accepted on {{ row.accepted }} more</span>{% endif %}</td>
<td class="long">{{ row.why }}{% if row.by %}<br>{{ row.by }}{% endif %}
{% if row.reasons %}<br><span class="soft">and {{ row.reasons }} other
{{ "reason" if row.reasons == 1 else "reasons" }} elsewhere</span>{% endif %}</td>
<td class="long">{% if row.remedy %}<code>{{ row.remedy }}</code>{% endif %}</td></tr>
{% endfor %}
{% endcall %}
{{ more(failing.left, "controls that fail") }}
{% else %}
<p class="empty">No control fails on the hosts that told of them. What is unknown or manual stands below.</p>
{% endif %}
{% endif %}
{% for framework in frameworks %}
{% set id = "controls-" ~ loop.index %}
<h3>{{ framework.name }} <span class="soft">{{ framework.version }}: {{ framework.percent }}</span></h3>
{{ framework.bar }}
<p><span class="soft">Each control on each host:</span>
{% for status, count, colour in framework.counts if count %}{{ tag(colour, count ~ " " ~ status) }}
{% endfor %}</p>
{{ tools(id, "controls", [("status", "Status", statuses)]) }}
<div id="{{ id }}">
{% for control in framework.controls %}
<details data-row data-status="{{ control.status }}"><summary>{{ tag(control.colour, control.status) }}
<b>{{ control.id }}</b> {{ control.title }}
{% if control.counts|length > 1 %}
<span class="soft">({% for status, count, colour in control.counts %}{{ count }} {{ status }}{{ ", " if not loop.last }}
{%- endfor %})</span>
{% endif %}</summary>
<ul class="list">
{% for one in control.evidences %}
<li>{{ tag(one.colour, one.status) }} {{ one.said }}
{% if one.layer %}<span class="soft">({{ one.layer }}{% if one.since %}, since {{ one.since }}{% endif %})</span>
{% endif %}
{% if one.by %}<br>{{ one.by }}{% endif %}
{% if one.remedy %}<br>would do: <code>{{ one.remedy }}</code>{% endif %}
<br><span class="soft">{{ names(one.hosts, one.left) }}</span></li>
{% endfor %}
</ul>{{ more(control.left, "kinds of evidence") }}
</details>
{% endfor %}
</div>
{% endfor %}
{{ more(unshown, "controls") }}
{% endcall %}

{% call section("exceptions", "Exceptions and their ends") %}
{% if exceptions.rows %}
{% call table("accepted", "exceptions", ["Until", "Control", "Status", "Reason", "By", "Hosts"]) %}
{% for row in exceptions.rows %}
<tr><td>{{ row.until }}{% if row.expired %} {{ tag("bad", "ended") }}{% endif %}</td>
<th scope="row">{{ row.control }}</th><td>{{ tag(row.colour, row.status) }}</td><td class="long">{{ row.reason }}</td>
<td>{{ row.by }}</td><td>{{ names(row.hosts, row.left) }}</td></tr>
{% endfor %}
{% endcall %}
{{ more(exceptions.left, "exceptions") }}
{% else %}
<p class="empty">Nobody has accepted a deviation or judged a control in the pillar.</p>
{% endif %}
{% endcall %}
"""

PERIOD = """
{% call section("period", "The period") %}
{% if proofs %}
{{ tools("periods", "hosts") }}
{% call table("periods", "the period", ["Host", "From", "Times something differed", "Times nobody looked for an hour",
 "Proofs", "Proofs lost"], "What each host's own history holds since " ~ since ~ ". It can begin later than that.") %}
{% for row in proofs %}
<tr data-row><th scope="row">{{ name(row.host) }}</th><td>{{ row.from if row.looks else "no history yet" }}</td>
<td>{{ row.spans }}</td><td>{{ row.gaps }}</td><td>{{ row.proofs }}</td>
<td>{% if row.lost %}{{ tag("bad", row.lost) }}{% else %}0{% endif %}</td></tr>
{% endfor %}
{% endcall %}
{% else %}
<p class="empty">No host has told of its history.</p>
{% endif %}
{% endcall %}
</main>
<footer><p>Made by saltext-sshtrail at {{ now }}, from what the hosts told. This file asks nothing of any network.</p>
</footer>
<script>{{ script }}</script>
</body>
</html>
"""

TEMPLATE = MACROS + HEAD + GLANCE + RECORDING + DIFFERS + SESSIONS + COMPLIANCE + PERIOD
SECTIONS = (
    *(("glance", "At a glance"), ("recording", "Not recorded"), ("differs", "What differs")),
    *(("changed", "What changed"), ("sessions", "Sessions"), ("failures", "Failures")),
    *(("compliance", "Compliance"), ("exceptions", "Exceptions"), ("period", "Period")),
)
