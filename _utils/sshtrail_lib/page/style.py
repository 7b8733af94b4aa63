"""
How the page looks: dark and light as the reader's system is, narrow and wide, and on paper.
"""

STYLE = """
:root { color-scheme: light dark; --back: #fbfbfc; --card: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d5dae0;
  --good: #14692c; --bad: #b41f28; --warn: #7a4f00; --info: #0a559f; --dim: #57606a; --odd: #633d98;
  --good-b: #e3f5e8; --bad-b: #fdeaea; --warn-b: #fdf3dc; --info-b: #e5f1fc; --dim-b: #eff1f3; --odd-b: #f1eafa; }
@media (prefers-color-scheme: dark) { :root { --back: #0f1317; --card: #171c22; --text: #e6e9ec; --soft: #a3acb5;
  --line: #323a43; --good: #6cd58a; --bad: #ff8f8a; --warn: #e9b95c; --info: #7fbcf5; --dim: #a3acb5; --odd: #c6a8f0;
  --good-b: #14291b; --bad-b: #331a1b; --warn-b: #2d2412; --info-b: #142639; --dim-b: #222930; --odd-b: #261d36; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 1400px; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .35rem 0 .75rem; max-width: 85ch; }
.soft, caption { color: var(--soft); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; margin: .75rem 0 0; }
a { color: var(--info); }
a:focus-visible, summary:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible,
.wide:focus-visible { outline: 2px solid var(--info); outline-offset: 2px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1rem 0;
  padding: 0; list-style: none; }
.cards li { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--dim);
  border-radius: 6px; padding: .6rem .8rem; }
.cards b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.cards .good { border-left-color: var(--good); } .cards .bad { border-left-color: var(--bad); }
.cards .warn { border-left-color: var(--warn); } .cards .odd { border-left-color: var(--odd); }
.cards .info { border-left-color: var(--info); }
.tag { display: inline-block; padding: 0 .5em; border-radius: 1em; font-size: .85rem; white-space: nowrap;
  border: 1px solid currentColor; }
.tag.good { color: var(--good); background: var(--good-b); } .tag.bad { color: var(--bad); background: var(--bad-b); }
.tag.warn { color: var(--warn); background: var(--warn-b); } .tag.info { color: var(--info);
  background: var(--info-b); }
.tag.dim { color: var(--dim); background: var(--dim-b); } .tag.odd { color: var(--odd); background: var(--odd-b); }
.chart { display: block; width: 100%; height: 18px; border-radius: 4px; background: var(--dim-b);
  margin: .4rem 0 .6rem; }
.columns { display: block; max-width: 100%; height: auto; margin: .4rem 0 .6rem; }
.columns text { fill: var(--soft); font-size: 11px; text-anchor: middle; }
.c-good { fill: var(--good); } .c-bad { fill: var(--bad); } .c-warn { fill: var(--warn); }
  .c-info { fill: var(--info); }
.c-dim { fill: var(--dim); } .c-odd { fill: var(--odd); }
.c-s0 { fill: var(--bad); } .c-s1 { fill: var(--warn); } .c-s2 { fill: var(--info); } .c-s3 { fill: var(--odd); }
.c-s4 { fill: var(--good); } .c-s5 { fill: var(--dim); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .4rem .6rem; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-top: 1px solid var(--line); }
thead th { font-size: .85rem; border-top: 0; white-space: nowrap; }
tbody tr:hover { background: var(--dim-b); }
td { overflow-wrap: anywhere; min-width: 4.5rem; }
td.long { min-width: 16rem; }
th button { all: unset; cursor: pointer; font: inherit; }
th button:focus-visible { outline: 2px solid var(--info); }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
  th[aria-sort=descending] button::after { content: " \\25BC"; }
code, .mono { font: .88em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
details { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: .35rem 0; }
details details { border: 0; margin: 0; }
td details { border: 0; background: none; margin: 0; }
summary { cursor: pointer; padding: .4rem .6rem; overflow-wrap: anywhere; }
td summary { padding: 0; }
details > table { width: calc(100% - 1.2rem); margin-bottom: .6rem; }
details > :not(summary) { margin-left: .6rem; margin-right: .6rem; }
.list { list-style: none; padding: 0; margin: .3rem .6rem .6rem; }
.list li { padding: .3rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.list li:first-child { border-top: 0; }
.tools { display: none; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin: .5rem 0; }
.scripted .tools { display: flex; }
.tools label { font-size: .85rem; color: var(--soft); display: grid; gap: .15rem; }
.tools input, .tools select { font: inherit; color: var(--text); background: var(--card);
  border: 1px solid var(--dim);
  border-radius: 4px; padding: .3rem .5rem; min-width: 12rem; }
.empty { background: var(--card); border: 1px dashed var(--dim); border-radius: 6px; padding: .6rem .8rem; }
footer { color: var(--soft); font-size: .85rem; margin-top: 3rem; padding-bottom: 3rem; }
[hidden] { display: none !important; }
@media (max-width: 640px) { body { font-size: 14px; } header, main, footer { padding-left: .75rem;
  padding-right: .75rem; }
  th, td { padding: .3rem .4rem; } }
@media print { :root { color-scheme: light; --back: #fff; --card: #fff; --text: #000; --soft: #333; --line: #999;
  --good: #0f5c25; --bad: #9c1119; --warn: #6b4600; --info: #003f7f; --dim: #444; --odd: #4f2d80; }
  body { font-size: 10px; } nav, .tools { display: none !important; } .wide { overflow: visible; border: 0; }
  h2 { break-after: avoid; } tr, .cards li { break-inside: avoid; } thead { display: table-header-group; }
  header, main, footer { max-width: none; padding: 0; } a { color: inherit; text-decoration: none; }
  td.long { min-width: 0; } td { min-width: 0; } svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; height: auto; } }
"""
