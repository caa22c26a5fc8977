"""The style sheet of the page: light and dark, no font or picture from elsewhere."""

SHEET = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2129; --soft: #5b6472; --faint: #8b93a0;
  --rule: #e4e2dd; --accent: #1f5fbf; --accent-soft: #dbe7f8; --seed: #b4690e;
  --seed-soft: #fbead3; --good: #1d7a46; --good-soft: #e2f4e8; --bad: #b3372f;
  --bad-soft: #fbe6e3; --bar: #a9b3c2;
  --s0: #8250c4; --s1: #2f9aa0; --s2: #d79b2c; --s3: #1f5fbf; --s4: #7f8b99;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --card: #1b1f26; --ink: #e7e9ee; --soft: #a7afbc; --faint: #7d8694;
    --rule: #2c323c; --accent: #7db0ff; --accent-soft: #22385a; --seed: #e9a950;
    --seed-soft: #46331a; --good: #6fce95; --good-soft: #1a3626; --bad: #f08a80;
    --bad-soft: #41221f; --bar: #55606f;
    --s0: #b18cf0; --s1: #5cc6cb; --s2: #e6b95a; --s3: #7db0ff; --s4: #8994a3;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1160px; margin: 0 auto; padding: 44px 24px 80px; }
header p { margin: 4px 0 0; color: var(--soft); }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.015em; margin: 0;
  overflow-wrap: anywhere; }
h2 { font-size: 19px; letter-spacing: -0.005em; margin: 0 0 14px; }
.note { color: var(--soft); font-size: 14px; margin: -10px 0 16px; max-width: 76ch; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 14px;
  margin: 28px 0 18px; }
.tile, section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; }
.tile { padding: 16px 18px; }
.tile span { display: block; font-size: 13px; color: var(--soft); }
.tile b { display: block; font-size: 27px; line-height: 1.25; font-weight: 640;
  letter-spacing: -0.02em; margin: 2px 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr));
  gap: 18px; align-items: stretch; }
section { padding: 22px 24px 24px; margin: 0 0 18px; min-width: 0; }
.pair { margin-bottom: 18px; } .pair > section { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; }
th { text-align: left; font-weight: 560; color: var(--soft); font-size: 13px;
  vertical-align: bottom; padding: 0 14px 7px 0; border-bottom: 1px solid var(--rule); }
td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; }
td:last-child { overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
td:first-child { white-space: nowrap; }
th.n, td.n { text-align: right; }
td.n { white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
tr.child td { font-weight: 640; color: var(--accent); }
.scroll { overflow-x: auto; }
code, pre, td.mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; font-size: 13px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  "DejaVu Sans", sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .strong { fill: var(--ink); font-weight: 640; }
svg .halo { stroke: var(--card); stroke-width: 4px; paint-order: stroke; }
svg .faint { fill: var(--faint); font-size: 11.5px; }
svg .label { fill: var(--soft); } svg .tick { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--rule); } .axis { stroke: var(--faint); }
.program { fill: var(--accent); fill-opacity: 0.55; stroke: var(--card); stroke-width: 0.8; }
.seed { fill: var(--seed); stroke: var(--card); stroke-width: 0.8; }
.program.front { fill-opacity: 1; } .best { stroke: var(--ink); stroke-width: 2; fill-opacity: 1; }
.off { fill-opacity: 0.25; }
.best-line { fill: none; stroke: var(--accent); stroke-width: 2.2; stroke-linejoin: round; }
.front-line { fill: none; stroke: var(--good); stroke-width: 1.8; stroke-dasharray: 5 4; }
.interval { stroke: var(--accent); stroke-width: 2.2; stroke-linecap: round; }
.arm { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.arm.bound { stroke-width: 1; stroke-dasharray: 2 3; stroke-opacity: 0.75; }
.a0 { stroke: var(--s4); } .a1 { stroke: var(--s3); } .a2 { stroke: var(--s1); }
.a3 { stroke: var(--s2); } .a4 { stroke: var(--s0); } .a5 { stroke: var(--bad); }
.each { fill: var(--card); stroke: var(--accent); stroke-width: 1.2; }
.zero { stroke: var(--soft); stroke-width: 1.4; }
.better { fill: var(--good); } .worse { fill: var(--bad); }
.bar { fill: var(--bar); } .bar.scored { fill: var(--accent); }
.kin { fill: none; stroke: var(--faint); stroke-width: 1.3; }
.node { fill: var(--paper); stroke: var(--faint); } .seed-node { fill: var(--seed-soft);
  stroke: var(--seed); } .best-node { fill: var(--accent-soft); stroke: var(--accent);
  stroke-width: 2; }
.share0 { fill: var(--s0); } .share1 { fill: var(--s1); } .share2 { fill: var(--s2); }
.share3 { fill: var(--s3); } .share4 { fill: var(--s4); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft);
  margin: 10px 0 0; padding: 0; list-style: none; }
.legend + .scroll { margin-top: 12px; }
.legend svg { display: inline-block; width: 22px; height: 12px; vertical-align: -1px;
  margin-right: 5px; }
.wide { margin: 0 auto; }
details { border: 1px solid var(--rule); border-radius: 8px; margin-top: 10px; overflow: hidden; }
summary { cursor: pointer; padding: 9px 14px; font-size: 14.5px; font-weight: 560; }
summary .plus { color: var(--good); } summary .less { color: var(--bad); }
pre { margin: 0; padding: 10px 0; overflow-x: auto; line-height: 1.5; tab-size: 4;
  border-top: 1px solid var(--rule); }
pre span { display: block; min-width: max-content; padding: 0 14px 0 0; white-space: pre; }
pre i { display: inline-block; width: 46px; padding-right: 12px; text-align: right;
  font-style: normal; color: var(--faint); user-select: none; }
pre .add { background: var(--good-soft); }
pre .cut { background: var(--bad-soft); color: var(--soft); }
footer { color: var(--faint); font-size: 13px; margin-top: 28px; }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
@media (max-width: 560px) { main { padding: 24px 12px 48px; } section { padding: 16px 14px; } }
"""
