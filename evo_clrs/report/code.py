"""Source code on a page: whole, or as a diff against another program."""

import difflib

from evo_clrs.report.text import for_html


def plain(source: str) -> str:
    """Returns the source as HTML with line numbers."""
    lines = [_line("", place, words) for place, words in enumerate(source.splitlines(), start=1)]
    return f"<pre>{''.join(lines)}</pre>"


def differences(heading: str, before: str, after: str, shown: bool) -> str:
    """Returns `after`, whole, with the lines added and dropped since `before` marked, as HTML.

    Args:
      heading: what it is compared with.
      before: source of the parent.
      after: source of the child.
      shown: whether it is unfolded at first.
    """
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    lines, added, dropped = [], 0, 0
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind != "equal":
            lines += [_line("cut", "−", words) for words in old[i:j]]
            added, dropped = added + m - k, dropped + j - i
        style, sign = ("", "") if kind == "equal" else ("add", "+ ")
        lines += [_line(style, f"{sign}{k + n}", w) for n, w in enumerate(new[k:m], start=1)]
    count = f'<span class="plus">+{added}</span> <span class="less">−{dropped}</span>'
    fold = " open" if shown else ""
    title = f"<summary>{for_html(heading)} &nbsp; {count}</summary>"
    return f"<details{fold}>{title}<pre>{''.join(lines)}</pre></details>"


def _line(style: str, place: int | str, words: str) -> str:
    return f'<span class="{style}"><i>{place}</i>{for_html(words)}</span>'
