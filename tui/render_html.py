"""A report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from doctor.facts import Facts
from doctor.finding import Finding, Report, Severity
from tui.report_parts import TROUBLE, describe, of, printable, shown, verdict

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --soft: #57606a; --card: #f6f8fa; --line: #d0d7de;
  --error: #b4232a; --warning: #8a5a00; --note: #0b63b0; --ok: #1a7f37; --unknown: #6b4ba1; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --ink: #e6edf3; --soft: #9aa4af; --card: #161b22;
  --line: #30363d; --error: #ff7b72; --warning: #e3b341; --note: #79c0ff; --ok: #56d364; --unknown: #c4a5ff; } }
body { background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 52rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
.machine, .footer { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-left: .4rem solid var(--tone);
  border-radius: .4rem; margin: 1rem 0; padding: .75rem 1rem; }
h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
.label { color: var(--tone); text-transform: uppercase; font-size: .85rem; letter-spacing: .04em; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: .3rem;
  overflow-wrap: anywhere; padding: .6rem; white-space: pre-wrap; }
td, th { text-align: left; vertical-align: top; padding: .1rem .8rem .1rem 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); }
"""


def render_html(report: Report, facts: Facts) -> str:
    """The whole page; every word of the facts is escaped."""
    severity, words = verdict(report)
    body = [
        f'<h1 style="color:var(--{severity.value})">{_text(words)}</h1>',
        f'<p class="machine">{_text(describe(facts))}</p>',
        *(part for one in TROUBLE for finding in of(report, one) for part in _finding(finding)),
    ]
    rest = [*of(report, Severity.UNKNOWN), *of(report, Severity.OK)]
    body += _folded("In order, or not known", [(one.severity.value, one.title) for one in rest])
    body += _folded("Not read", [(miss.what, miss.why) for miss in facts.unread])
    when = f" Facts of {_text(facts.captured_at)}." if facts.captured_at else ""
    body.append(f'<p class="footer">Written by sdoctor check.{when}</p>')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>sdoctor: {_text(words)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _finding(finding: Finding) -> Iterator[str]:
    yield f'<section id="{_text(finding.id)}" style="--tone:var(--{finding.severity.value})">'
    yield f'<span class="label">{finding.severity.value}</span><h2>{_text(finding.title)}</h2>'
    if finding.cause:
        yield f"<p><b>Why:</b> {_text(finding.cause)}</p>"
    if finding.remedy:
        yield f"<p><b>Mend:</b> {_text(finding.remedy.text)}</p>"
        if finding.remedy.commands:
            yield "<pre>" + "\n".join(_text(line) for line in finding.remedy.commands) + "</pre>"
    rows = [(name, shown(value)) for name, value in finding.evidence.items()]
    yield from _folded(f"Evidence ({finding.id})", rows)
    yield "</section>"


def _folded(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    """A table behind a summary line; nothing if it has no rows."""
    if not rows:
        return
    yield f"<details><summary>{_text(title)}</summary><table>"
    yield from (f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows)
    yield "</table></details>"


def _text(words: str) -> str:
    return escape(printable(words))
