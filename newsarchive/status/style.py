"""How the page looks: one column on a telephone, wider where there is room, light or dark as people like it."""

from newsarchive.status.chart import COLOURS, STYLE

__all__ = ["SHEET"]

#: Lines, and text and ground of marks that are good, that are bad; text of what is odd, and of links.
MORE = {
    "light": ("#d0d7de", "#0b5a2b", "#d9f5e3", "#8f1d14", "#ffe4df", "#8a2c0d", "#0a4a94"),
    "dark": ("#30363d", "#86e5ac", "#12351f", "#ffb8ae", "#471411", "#ffb38a", "#8cc4ff"),
}
NAMES = ("line", "good", "good-ground", "bad", "bad-ground", "odd", "link")


def _variables(theme: str) -> str:
    ground, ink, faint = COLOURS[theme][:3]
    pairs = [("ground", ground), ("ink", ink), ("faint", faint), *zip(NAMES, MORE[theme], strict=True)]
    return "".join(f"--{name}:{value};" for name, value in pairs)


SHEET = (
    f"""
:root{{{_variables("light")}color-scheme:light dark}}
@media(prefers-color-scheme:dark){{:root{{{_variables("dark")}}}}}
"""
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem 1rem 3rem;background:var(--ground);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK TC',sans-serif}
h1,h2,h3,p,dl,dd,ul,figure{margin:0;padding:0}
h1{font-size:1.75rem;line-height:1.2}
h2{font-size:1.25rem;line-height:1.3;margin-bottom:.75rem;display:flex;flex-wrap:wrap;gap:.25rem .75rem;
align-items:center}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
header{display:grid;gap:.5rem}
section,article{margin-top:2.25rem}
article{border-top:1px solid var(--line);padding-top:1.5rem}
.faint,figcaption,dt{color:var(--faint)}
h2 .faint,th .faint{font-weight:400}
.odd{color:var(--odd);font-weight:500}
a{color:var(--link);text-underline-offset:.15em;overflow-wrap:anywhere}
a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.badge{display:inline-block;border-radius:1rem;padding:.1rem .7rem;font-size:.875rem;font-weight:600;line-height:1.5;
color:var(--good);background:var(--good-ground)}
.bad{color:var(--bad);background:var(--bad-ground)}
.problems{display:grid;gap:.75rem;list-style:none}
.problems li{border:1px solid var(--line);border-left:.3rem solid var(--bad);border-radius:.4rem;
padding:.65rem .9rem;overflow-wrap:anywhere}
.problems .head{display:flex;flex-wrap:wrap;gap:.25rem .6rem;align-items:center;margin-bottom:.3rem}
time{white-space:nowrap}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:0 1.5rem}
.pair>div{min-width:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem}
.tiles div{border:1px solid var(--line);border-radius:.4rem;padding:.65rem .9rem}
.tiles dt{font-size:.875rem}
.tiles b{font-size:1.25rem;font-weight:600;line-height:1.35}
.tiles .faint{font-size:.875rem;line-height:1.4}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem;overflow-wrap:anywhere}
.facts dt{grid-column:1}
.facts dd{grid-column:2;min-width:0}
.weeks{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:1rem 1.5rem}
.weeks svg{width:100%;height:auto;display:block}
.legend{display:flex;flex-wrap:wrap;gap:.15rem 1rem;list-style:none;margin:.6rem 0 .4rem;font-size:.875rem}
.legend li{display:flex;align-items:center;gap:.4rem;white-space:nowrap}
figcaption{font-size:.875rem}
.bars{width:100%;max-width:35rem;height:4.5rem;display:block}
.defs{position:absolute}
details{margin-top:.75rem}
summary{cursor:pointer;color:var(--link);width:max-content;max-width:100%}
table{border-collapse:collapse;width:100%;margin-top:.5rem;font-size:.9375rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}
thead th{font-weight:400;font-size:.875rem;color:var(--faint)}
.wide td{white-space:nowrap}
td,th[scope=row]{overflow-wrap:anywhere;font-weight:400}
.wide th[scope=row]{font-weight:600}
footer{margin-top:2.5rem;font-size:.875rem}
@media(max-width:40rem){
.wide :is(th,td):is(:nth-child(3),:nth-child(4),:nth-child(5)){display:none}
.wide .badge{border-radius:.5rem}
.wide td:last-child{white-space:normal}
.facts{display:block}
.facts dt{margin-top:.6rem;font-size:.875rem}
.listings th:nth-child(3),.listings td:nth-child(3){display:none}
}
@media print{details{display:none}article{break-inside:avoid}}
"""
    + STYLE
)
