"""Fragments that try to run, to break out of their post, or to stop a site: each leaves a trace if it runs.

``RUN`` stands for the script that leaves the trace, ``ENC`` for the same written in character references,
``URL`` percent-encoded. Nothing here reaches a network: addresses are on a closed port or do not exist.
"""

import re
from urllib.parse import quote

#: One fragment a line; ``¶`` is a line feed, ``\\x..`` and ``\\u....`` are characters that no editor shows.
MARKUP = r'''
<script>RUN</script>
<SCRIPT>RUN</SCRIPT>
<script/x>RUN</script >
<script¶>RUN</script¶x>
<scr<script>ipt>RUN</scr</script>ipt>
<<script>RUN//<</script>
<script type="module">RUN</script>
<script src="data:text/javascript,RUN"></script>
<script>RUN
<script>RUN//
<svg><script>RUN</script></svg>
<svg><script>ENC</script></svg>
<svg><script href="data:text/javascript,RUN"></script></svg>
<svg onload=RUN>
<svg/onload=RUN//
<svg><g onload=RUN></g></svg>
<svg><animate onbegin=RUN attributeName=x dur=1s>
<svg><set onbegin=RUN attributeName=x to=1 dur=1s>
<svg><a xlink:href="javascript:RUN"><text x=20 y=20>x</text></a></svg>
<svg><a><animate attributeName=href values=javascript:RUN /><text x=20 y=20>x</text></a></svg>
<svg><use href="data:image/svg+xml,<svg id='x'><a href='javascript:RUN'/></svg>#x"></svg>
<svg><foreignObject><iframe srcdoc="<script>RUN</script>"></iframe></foreignObject></svg>
<svg><desc><img src=x onerror=RUN></desc></svg>
<svg><title><img src=x onerror=RUN></title></svg>
<svg><style><img src=x onerror=RUN></style></svg>
<svg></p><style><a id="</style><img src=x onerror=RUN>">
<math><a xlink:href="javascript:RUN">x</a></math>
<math href="javascript:RUN">x</math>
<math><mi><img src=x onerror=RUN></mi></math>
<math><annotation-xml encoding="text/html"><img src=x onerror=RUN></annotation-xml></math>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=RUN&gt;">
<math><mtext><table><mglyph><style><math><img src=x onerror=RUN></style>
<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=RUN>
<form><div></form><form><svg><style><!--</style><img src=x onerror=RUN>
<p id=x><form id=y><p><form onclick=RUN><button>x</button></form></p>
<img src=x onerror=RUN>
<IMG SRC=x ONERROR=RUN>
<img src=x onerror="RUN">
<img src=x onerror='RUN'>
<img src=x onerror=ENC>
<img/src=x/onerror=RUN>
<img¶src=x¶onerror¶=¶RUN>
<img src=x\x0conerror=RUN>
<img src="x"onerror=RUN>
<img src=x onerror=RUN//
<img src=x onerror="RUN
<img """><img src=x onerror=RUN>">
<img src="x` `<img src=x onerror=RUN>"` `>
<img alt="`><img src=x onerror=RUN>`">
<img alt="</p></div><img src=x onerror=RUN>" src=x onerror=RUN>
<img srcset="x 1x" onerror=RUN>
<img srcset="javascript:RUN 1x, x 2x" onerror=RUN>
<img src="javascript:RUN" onerror=RUN>
<img src=data:x onerror=RUN>
<img lowsrc="javascript:RUN" dynsrc="javascript:RUN" src=x onerror=RUN>
<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='RUN'/>" onload=RUN>
<image src=x onerror=RUN>
<picture><source srcset=x><img src=x onerror=RUN></picture>
<video src=x onerror=RUN></video>
<video><source onerror=RUN src=x></video>
<video poster="javascript:RUN" src=x onerror=RUN></video>
<audio src=x onerror=RUN></audio>
<input autofocus onfocus=RUN>
<input type=image src=x onerror=RUN>
<select autofocus onfocus=RUN><option>x</select>
<textarea autofocus onfocus=RUN>x</textarea>
<button autofocus onfocus=RUN>x</button>
<details open ontoggle=RUN><summary>x</summary>x</details>
<marquee onstart=RUN>x</marquee>
<body onload=RUN>
<body onpageshow=RUN>
</body><body onclick=RUN><p>x</p>
<html onmouseover=RUN>
<p onclick=RUN>click</p>
<p onmouseover=RUN>hover</p>
<p onfocus=RUN tabindex=0>focus</p>
<p ONCLICK="RUN" oNmOuSeOvEr='RUN'>x</p>
<p style="animation:x 1s" onanimationstart=RUN>x</p><style>@keyframes x{from{left:0}to{left:1px}}</style>
<p style="transition:left 1s" ontransitionend=RUN>x</p>
<p style="width:expression(RUN)">x</p>
<p style="background:url(javascript:RUN)" onclick=RUN>x</p>
<p style="behavior:url(#default#time2)" onbegin=RUN onclick=RUN>x</p>
<div style="position:fixed;inset:0;z-index:9999" onclick=RUN>over all</div>
<a onclick=RUN>click</a>
<a href="javascript:RUN">x</a>
<a href="JaVaScRiPt:RUN">x</a>
<a href=" javascript:RUN">x</a>
<a href="java&Tab;script:RUN">x</a>
<a href="java&NewLine;script:RUN">x</a>
<a href="java¶script:RUN">x</a>
<a href="java\x09script:RUN">x</a>
<a href="java&#13;script:RUN">x</a>
<a href="java\x00script:RUN">x</a>
<a href="java\x01script:RUN">x</a>
<a href="java&#1;script:RUN">x</a>
<a href="java\x7fscript:RUN">x</a>
<a href="java\xadscript:RUN">x</a>
<a href="java\u200bscript:RUN">x</a>
<a href="\x01javascript:RUN">x</a>
<a href="&#1;javascript:RUN">x</a>
<a href="&#x1f;&#32;javascript:RUN">x</a>
<a href="\ufeffjavascript:RUN">x</a>
<a href="\u2028javascript:RUN">x</a>
<a href="javascript&colon;RUN">x</a>
<a href="javascript&#58;RUN">x</a>
<a href="javascript&#x3A;RUN">x</a>
<a href="javascript&#0000058RUN">x</a>
<a href="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;RUN">x</a>
<a href="&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;RUN">x</a>
<a href="ENCJ">x</a>
<a href="javascript:URL">x</a>
<a href="javascript://example.invalid/%0aRUN">x</a>
<a href="javascript://example.invalid/&NewLine;RUN">x</a>
<a href='javascript:"<script>RUN</script>"'>x</a>
<a href=javascript:RUN>x</a>
<a href=`javascript:RUN`>x</a>
<a href="vbscript:RUN" onclick=RUN>x</a>
<a href="livescript:RUN" onclick=RUN>x</a>
<a href="data:text/html,<script>RUN</script>" onclick=RUN>x</a>
<a href="data:text/html;base64,PHNjcmlwdD4x" onclick=RUN>x</a>
<a href="view-source:javascript:RUN" onclick=RUN>x</a>
<a href="feed:javascript:RUN" onclick=RUN>x</a>
<a href="blob:javascript:RUN" onclick=RUN>x</a>
<a href="jar:javascript:RUN!/" onclick=RUN>x</a>
<a href="http://[" onclick=RUN>x</a>
<a href="//example.invalid" onclick=RUN>x</a>
<a href="https://example.invalid/" target=_top ping="javascript:RUN" onclick=RUN>x</a>
<a href="https://example.invalid/" onclick="RUN" href="javascript:RUN">x</a>
<a HREF="javascript:RUN" href="https://example.invalid/">x</a>
<a name=x href="x" style="display:block" onpointerdown=RUN onmousedown=RUN onclick=RUN>x</a>
<a href="x<b onclick=RUN>y</b>
<a href="x" title="><img src=x onerror=RUN>">y</a>
<a href='x" onclick="RUN' onclick='RUN'>y</a>
<area href="javascript:RUN"><map name=m><area shape=default href="javascript:RUN"></map>
<form action="javascript:RUN"><button>x</button></form>
<form><button formaction="javascript:RUN">x</button></form>
<form><input type=submit formaction="javascript:RUN" value=x></form>
<form id=f action="javascript:RUN"></form><button form=f>x</button>
<isindex type=image src=x onerror=RUN action="javascript:RUN">
<base href="javascript:RUN//"><a href="#x">x</a><img src=x onerror=RUN>
<base href="data:,RUN//"><script src="//x"></script><img src=x onerror=RUN>
<base target=_top><a href="javascript:RUN">x</a>
<meta http-equiv=refresh content="0;url=javascript:RUN"><img src=x onerror=RUN>
<meta http-equiv=refresh content="0;url=data:text/html,<script>RUN</script>"><img src=x onerror=RUN>
<meta http-equiv=refresh content="3600;url=http://127.0.0.1:9/"><p onclick=RUN>x</p>
<meta charset=utf-7>+ADw-script+AD4-RUN+ADw-/script+AD4-
<meta http-equiv=Content-Security-Policy content="default-src 'none'"><p>x</p>
<link rel=stylesheet href="data:text/css,body{display:none}" onload=RUN>
<link rel=import href="data:text/html,<script>RUN</script>" onerror=RUN>
<link rel=stylesheet href="javascript:RUN" onerror=RUN>
<style onload=RUN>x{}</style>
<style>body{display:none}</style><p onclick=RUN>x</p>
<style>@import "javascript:RUN";</style><img src=x onerror=RUN>
<style><img src="</style><img src=x onerror=RUN>">
<style>x{background:url("javascript:RUN")}</style><p class=x onclick=RUN>x</p>
<iframe src="javascript:RUN"></iframe>
<iframe src="java&Tab;script:RUN"></iframe>
<iframe srcdoc="<script>RUN</script>"></iframe>
<iframe srcdoc="&lt;img src=x onerror=RUN&gt;"></iframe>
<iframe src="data:text/html,<script>RUN</script>"></iframe>
<iframe onload=RUN></iframe>
<iframe name="x" src="about:blank" onload=RUN></iframe>
<iframe><img src=x onerror=RUN></iframe><img src=x onerror=RUN>
<frameset onload=RUN><frame src="javascript:RUN"></frameset>
<object data="javascript:RUN"></object>
<object data="data:text/html,<script>RUN</script>"></object>
<object data=x onerror=RUN><p>instead</p></object>
<embed src="javascript:RUN">
<embed src="data:text/html,<script>RUN</script>">
<applet code="javascript:RUN" onclick=RUN>x</applet>
<portal src="javascript:RUN" onclick=RUN>x</portal>
<template><script>RUN</script></template>
<div><template shadowrootmode=open><img src=x onerror=RUN></template></div>
<noscript><p title="</noscript><img src=x onerror=RUN>"></noscript>
<noscript><img src=x onerror=RUN></noscript>
<noembed><img title="</noembed><img src=x onerror=RUN>"></noembed>
<noframes><img title="</noframes><img src=x onerror=RUN>"></noframes>
<xmp><p title="</xmp><img src=x onerror=RUN>"></xmp>
<textarea><p title="</textarea><img src=x onerror=RUN>"></textarea>
<title><p title="</title><img src=x onerror=RUN>"></title>
<plaintext><img src=x onerror=RUN>
<xmp><img src=x onerror=RUN>
<listing><img src=x onerror=RUN></listing>
<select><style></select><img src=x onerror=RUN></style></select>
<select><template><img src=x onerror=RUN></template></select>
<dialog open onclick=RUN>x</dialog>
<p popover id=p>x</p><button popovertarget=p onclick=RUN>x</button>
<x onclick=RUN>unknown</x>
<x-y onclick=RUN is=z>custom</x-y>
<x:script xmlns:x="http://www.w3.org/1999/xhtml">RUN</x:script><x onclick=RUN>x</x>
<?xml-stylesheet href="javascript:RUN"?><img src=x onerror=RUN>
<?php echo "<script>RUN</script>"; ?>
<!--><img src=x onerror=RUN>-->
<!---><img src=x onerror=RUN>-->
<!-- x --!><img src=x onerror=RUN>
<!-- x -- ><img src=x onerror=RUN> -->
<!--[if gte IE 4]><script>RUN</script><![endif]--><p onclick=RUN>x</p>
<!-- <img src=x onerror=RUN>
<![CDATA[<img src=x onerror=RUN>]]>
<svg><![CDATA[><img src=x onerror=RUN>]]></svg>
<svg><![CDATA[]]><img src=x onerror=RUN></svg>
<!DOCTYPE x [<!ENTITY e "<script>RUN</script>">]><p onclick=RUN>&e;</p>
<![><img src=x onerror=RUN>
</><img src=x onerror=RUN>
</ x><img src=x onerror=RUN>
<%<!--'%><img src=x onerror=RUN>-->
<p <img src=x onerror=RUN>
<p title="x><img src=x onerror=RUN>
<p title=">"><img src=x onerror=RUN></p>
<p title='"><img src=x onerror=RUN>'>x</p>
<p title=x" onclick=RUN>x</p>
<p a"b=1 c'd=2 e<f=3 onclick=RUN>x</p>
<p onclick=RUN onclick=x>twice</p>
<p/onclick=RUN>x</p>
<p onclick\x00=RUN>x</p><img src=x one\x00rror=RUN>
<p\x00 onclick=RUN>x</p>
<p \x0conclick\x0c=\x0cRUN>x</p>
\x00<\x00s\x00cript>RUN</script><img src=x onerror=RUN>
</div></div></div></body></html><script>RUN</script>
</div></div></main><img src=x onerror=RUN><footer>not the layout's</footer>
</p></div></td></tr></table></main></body><p onclick=RUN>x</p>
<div><div><div><p onclick=RUN>never closed
<table><tr><td onclick=RUN>never closed
<table><script>RUN</script><tr><td>x</td></tr></table>
<table><p onclick=RUN>in front</p><tr><td>x</td></tr></table>
<table background="javascript:RUN"><td background="javascript:RUN" onclick=RUN>x</td></table>
<b><i><u><s><em><p onclick=RUN>reopened</b></i>x</p>
<a href="https://example.invalid/"><table><a href="javascript:RUN">x</a></table></a>
<ruby onclick=RUN>漢<rt><script>RUN</script>kan</rt></ruby>
<pre onclick=RUN>¶¶<script>RUN</script>¶</pre>
<ul><li onclick=RUN>x<ol><li><script>RUN</script></ul>
<q cite="javascript:RUN" onclick=RUN>x</q>
<blockquote cite="javascript:RUN" onclick=RUN>x</blockquote>
<bdo dir=rtl onclick=RUN>\u202eabc\u202c</bdo>
<img name=body id=head src=x onerror=RUN>
<form id=document name=body><input name=firstChild><input name=attributes><p onclick=RUN>x</p></form>
<a id=location name=top href="javascript:RUN">x</a><a id=location href=x>y</a>
<img name=getElementById><img name=cookie src=x onerror=RUN>
&lt;script&gt;RUN&lt;/script&gt;<p onclick=RUN>x</p>
&amp;lt;script&amp;gt;RUN&amp;lt;/script&amp;gt;<p onclick=RUN>x</p>
<script>RUN</script>
\u2028<script>RUN</script>\u2029
\ufeff<script>RUN</script>\ufeff
\u202e<script>RUN</script>
\ud800<img src=x onerror=RUN>\udc00
\u212a<\u017fcript>RUN</\u017fcript><p onclick=RUN>x</p>
＜script＞RUN＜/script＞<p onclick=RUN>x</p>
'''

#: What Liquid reads. Those in the first list give a script if it is let to.
LIQUID_RUNS = r"""
{{ '%3Cscript%3EURL%3C/script%3E' | url_decode }}
{{ "&lt;img src=x onerror=RUN&gt;" | replace: '&lt;', '<' | replace: '&gt;', '>' }}
{{ 'PHNjcmlwdD4' | prepend: '<img src=x onerror=RUN>' }}
{% assign x = '%3Cscript%3EURL%3C/script%3E' %}{{ x | url_decode }}
{% capture x %}<img src=x onerror={% endcapture %}{{ x | append: 'RUN>' }}
<p title="{{ '%22%3E%3Cimg%20src=x%20onerror=URL%3E' | url_decode }}">x</p>
<a href="https://example.invalid/{{ '%22%20onclick=%22URL%22%20' | url_decode }}">x</a>
<a href="{{ 'javascript:' }}RUN">x</a>
"""

LIQUID = r"""
{{ site.time }}{{ page.content }}
{{ site.posts | map: 'content' }}
{% include ../../../etc/passwd %}
{% include_relative ../../_config.yml %}
{% raw %}
{% endraw %}<img src=x onerror=RUN>
{% raw %}<script>RUN</script>{% endraw %}
{% bad %}
{% bad
{{ bad
}} %} {{ {%
{% if x %}<p onclick=RUN>x</p>
{% for i in (1..100000000) %}x{% endfor %}
{% comment %}<img src=x onerror=RUN>
{% highlight html %}<img src=x onerror=RUN>{% endhighlight %}
{% link x %}{% post_url 2020-01-01-x %}
{<b>{ site.time }</b>}<img src=x onerror=RUN>
{<b></b>{ site.time }<i></i>}
{<!-- -->{ site.time }<!-- -->}<p onclick=RUN>x</p>
{<script></script>% bad %}
{<x>% bad %</x>}
{\x00{ site.time }\x00}
{\x01% bad %\x01}
&#123;&#123; site.time &#125;&#125;
&lbrace;&lbrace; site.time &rbrace;&rbrace;
&#x7b;% bad %&#x7d;
{&#123;{ site.time }&#125;}
<p title="{{ site.time }}" {% bad %} onclick=RUN>x</p>
<a href="{% bad %}">x</a>
<a href="https://example.invalid/{{ site.time }}?{% bad %}#{{">x</a>
<img src="https://example.invalid/{% bad %}" alt="{{ page.title }}{% bad %}" onerror=RUN>
<{{ x }} onclick=RUN>x</{{ x }}>
<{% bad %}>
{\ud800{ site.time }}
"""

#: What Markdown and its dialects read, where mark-up ends and a blank line follows.
MARKDOWN = r"""
<p>x</p>¶¶<script>RUN</script>¶¶<p>y</p>
<p>x</p>¶¶</div>¶¶<img src=x onerror=RUN>
<p>x</p>\r\r<script>RUN</script>
<p>x</p>\x0b\x0c\x85\u2028\u2029¶¶[x](javascript:RUN)
<p>x</p>¶¶[x](javascript:RUN "title")
<p>x</p>¶¶[x][y]¶¶[y]: javascript:RUN
<p>x</p>¶¶![x](x"onerror="RUN)<p onclick=RUN>y</p>
<p>x</p>¶¶<javascript:RUN>¶¶<p onclick=RUN>y</p>
<p>x</p>¶¶    <script>RUN</script>¶¶<img src=x onerror=RUN>
<p>x</p>¶¶```¶<script>RUN</script>¶```¶<img src=x onerror=RUN>
<pre>x¶¶</pre><script>RUN</script>
<pre>x¶¶{: onclick="RUN"}¶</pre><p onclick=RUN>y</p>
<p>x</p>¶{: onclick="RUN"}
<p>x</p>¶¶x¶{: onclick="RUN"}
<p>x</p>¶¶*x*{: onclick="RUN"}
<p>x{: onclick="RUN"}</p>
*x*{: onclick="RUN"}
[x](javascript:RUN)
![x](x){: onerror="RUN"}
{:x: onclick="RUN"}¶¶x¶{:x}
{::options parse_block_html="true" /}¶¶<p markdown="1" onclick=RUN>*x*</p>
{::options auto_ids="true" template="string://RUN" /}<p onclick=RUN>x</p>
{::nomarkdown}<script>RUN</script>{:/}
{::nomarkdown type="html"}¶<img src=x onerror=RUN>¶{:/nomarkdown}
{::comment}x{:/comment}<script>RUN</script>
<div markdown="1">¶¶[x](javascript:RUN)¶¶</div>
<div markdown="block" onclick=RUN>¶*x*¶</div>
<p markdown="span">[x](javascript:RUN)</p>
<p markdown=1>*x*{: onclick="RUN"}</p>
$$<script>RUN</script>$$
$$ x </div> $$¶¶<img src=x onerror=RUN>
$$\text{</script><script>RUN</script>}$$
x[^1]¶¶[^1]: <script>RUN</script>
x[^1]¶¶[^1]: [y](javascript:RUN)
HTML¶¶*[HTML]: "onclick="RUN<p onclick=RUN>x</p>
*[x]: <script>RUN</script>
[x]: javascript:RUN
| x | y |¶|---|---|¶| <script>RUN</script> | z |
# x {#y onclick="RUN"}<p onclick=RUN>z</p>
term¶: <script>RUN</script>
- x¶¶  <script>RUN</script>
> <script>RUN</script>
---¶layout: none¶---¶<script>RUN</script>
---¶permalink: /../../x¶published: false¶---¶<p onclick=RUN>x</p>
...¶---¶<p onclick=RUN>x</p>
</div>¶---¶layout: null¶---¶<script>RUN</script>
------¶¶<script>RUN</script>
* * *¶___¶===¶<p onclick=RUN>x</p>
&lt;/div&gt;¶¶&lt;script&gt;RUN&lt;/script&gt;
`<script>RUN</script>`
``` <script>RUN</script> ```
<p>`</p><script>RUN</script><p>`</p>
<!-- x¶¶--><script>RUN</script>
<?x¶¶?><script>RUN</script>
\<script>RUN</script>
\\<script>RUN</script>
<https://example.invalid/"onclick="RUN><p onclick=RUN>x</p>
www.example.invalid/"onmouseover="RUN<p onclick=RUN>x</p>
:toc: {:toc}¶* x¶{:toc}<p onclick=RUN>x</p>
[[x]] [TOC] :smile: ==x== ^x^ ~x~<p onclick=RUN>y</p>
"""


CHARACTER = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})")


def encoded(script: str) -> str:
    """Return a script in character references."""
    return "".join(f"&#{ord(char)};" for char in script)


def fragments(lines: str, start: int) -> list[str]:
    """Return the fragments of a list, each with its own trace."""
    found = []
    for number, line in enumerate(filter(None, lines.split("\n")), start):
        run = f"top.postMessage({number},`*`)"
        line = line.replace("ENCJ", encoded("javascript:" + run)).replace("ENC", encoded(run))
        line = line.replace("URL", quote(run)).replace("RUN", run).replace("¶", "\n").replace("\\r", "\r")
        found.append(CHARACTER.sub(lambda match: chr(int(match[1] or match[2], 16)), line))
    return found


def long(number: int) -> list[str]:
    """Return fragments that are long rather than sly."""
    run = f"top.postMessage({number},`*`)"
    return [
        f"<img src=x onerror={run}>" * 500,
        f"<img {'a=1 ' * 900}src=x onerror={run}>",
        f"<img src=x onerror={run} alt='{'長' * 100_000}'>",
        "<b>" * 150 + f"<script>{run}</script>",
        "<p>" + "{{" * 5_000 + "{%" * 5_000 + f"</p><script>{run}</script>",
        "&" * 5_000 + "<" * 5_000 + f"<script>{run}</script>",
        "*_`[" * 500 + f"<script>{run}</script>",
        f"{'</div>' * 500}<script>{run}</script>",
    ]


def numbered() -> list[str]:
    """Return all fragments; the place in the list is the number that a fragment leaves as its trace."""
    found: list[str] = []
    for lines in (MARKUP, LIQUID_RUNS, LIQUID, MARKDOWN):
        found += fragments(lines, len(found))
    return found + [long(number)[number - len(found)] for number in range(len(found), len(found) + len(long(0)))]


ATTACKS = numbered()
