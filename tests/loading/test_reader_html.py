import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.errors import LoadingError
from ragstack.loading.readers import extract


def read(source, name="a.html"):
    return extract(source.encode() if isinstance(source, str) else source, name)


def blocks(document):
    return [
        (element.kind.value + str(element.level or ""), document.text[element.start : element.end])
        for element in document.elements
    ]


def texts(source):
    return [text for _, text in blocks(read(source))]


def test_a_page_becomes_blocks_in_reading_order(check):
    document = read(
        """<!doctype html><html lang="en"><head><title> The  mill </title>
        <meta name="description" content="About &amp; around"><meta name="author" content="Ann">
        <meta property="article:published_time" content="2024-03-01">
        <style>p { color: red }</style></head>
        <body><nav><a>Home</a></nav>
        <h1>The <em>old</em> mill<a class="headerlink">&para;</a></h1>
        <p>It stood   at the
           river&nbsp;Ain.<br>Still does.</p>
        <script>alert("no")</script>
        <h2>Parts</h2>
        <ul><li>wheel<ul><li>spoke</li></ul></li><li><p>stone</p><p>of granite</p></li></ul>
        <ol start="3"><li>third</li><li>fourth</li></ol>
        <pre>def f(x):
    return   x
</pre>
        <table><caption>Sizes</caption><tr><th>part</th><th>size</th></tr>
        <tr><td>wheel</td><td>5 <b>m</b></td></tr></table>
        <footer>Imprint</footer></body></html>"""
    )
    check(document)
    assert blocks(document) == [
        ("heading1", "The old mill"),
        ("paragraph", "It stood at the river Ain.\nStill does."),
        ("heading2", "Parts"),
        ("list_item", "- wheel"),
        ("list_item", "  - spoke"),
        ("list_item", "- stone"),
        ("paragraph", "of granite"),
        ("list_item", "3. third"),
        ("list_item", "4. fourth"),
        ("code", "def f(x):\n    return   x"),
        ("paragraph", "Sizes"),
        ("table", "part | size\nwheel | 5 m"),
    ]
    assert document.title == "The mill"
    assert document.metadata == {
        "description": "About & around",
        "author": "Ann",
        "date": "2024-03-01",
        "language": "en",
    }
    assert not document.lines_are_original
    assert [element.title for element in document.elements if element.level] == ["The old mill", "Parts"]


def test_blocks_are_separated_by_blank_lines_and_list_items_by_lines():
    assert read("<p>a<p>b<ul><li>c<li>d</ul>e").text == "a\n\nb\n\n- c\n- d\n\ne"


def test_inline_markup_does_not_tear_or_glue_words():
    assert texts("<p>un<b>break</b>able</p><p>one <i>two</i> three</p>") == ["unbreakable", "one two three"]
    assert texts("<div>one</div><div>two</div>three<p>four") == ["one", "two", "three", "four"]
    assert texts("<p>soft&shy;ware and zero&#8203;width") == ["software and zerowidth"]


def test_what_is_not_for_reading_is_left_out():
    source = """<p>seen</p><nav>n</nav><script>s</script><style>s</style><noscript>n</noscript>
    <template><p>t</p></template><svg><title>v</title></svg><button>b</button><select><option>o</select>
    <textarea>t</textarea><p hidden>h</p><span aria-hidden="true">a</span><div role="navigation">r</div>
    <aside>a</aside><footer>f</footer><iframe>i</iframe><!-- comment -->"""
    assert texts(source) == ["seen"]


def test_footers_and_asides_within_the_main_text_stay():
    assert texts("<main><p>text<aside>note</aside><footer>signed</footer></main>") == [
        "text",
        "note",
        "signed",
    ]


def test_the_main_part_is_taken_when_it_holds_most_of_the_text():
    page = "<h1>Title</h1><div>menu</div><main><p>{}</p></main><div>related</div>"
    assert texts(page.format("long text " * 10)) == ["Title", ("long text " * 10).strip()]
    assert texts(page.format("x")) == ["Title", "menu", "x", "related"]


def test_an_article_or_a_main_role_counts_as_the_main_part():
    assert texts("<div>menu</div><article>the article</article>") == ["the article"]
    assert texts("<div>menu</div><div role=main>the main part</div>") == ["the main part"]


def test_a_table_made_for_layout_is_read_as_blocks():
    source = "<table><tr><td><h2>Menu</h2><td><table><tr><td>a<td>b<tr><td>c<td>d</table></table>"
    assert blocks(read(source)) == [("heading2", "Menu"), ("table", "a | b\nc | d")]


def test_a_table_of_one_column_is_paragraphs():
    assert blocks(read("<table><tr><td>a<tr><td>b</table>")) == [("paragraph", "a"), ("paragraph", "b")]


def test_paragraphs_in_a_cell_stay_apart_and_empty_cells_keep_their_place():
    source = "<table><tr><td><p>a<p>b<td><td>c<br>d<tr><td>1<td>2<td>3</table>"
    assert blocks(read(source)) == [("table", "a b |  | c d\n1 | 2 | 3")]


def test_two_line_breaks_part_paragraphs():
    assert texts("one<br>two<br><br>three") == ["one\ntwo", "three"]


def test_code_with_markup_keeps_its_lines():
    source = "<pre><code><div class=line>a = 1</div><div class=line>  b</div></code></pre><pre>x<br>y</pre>"
    assert blocks(read(source)) == [("code", "a = 1\n  b"), ("code", "x\ny")]


def test_entities_that_stand_for_nothing_become_the_replacement_character(check):
    document = read("<p>a&#0;b&#xD800;c</p><pre>d&#13;e\0</pre>")
    check(document)
    assert document.text.startswith("a\ufffdb\ufffdc")


def test_the_first_heading_is_the_title_of_a_page_without_one():
    assert read("<h1>Head</h1><svg><title>drawing</title></svg>").title == "Head"
    assert read("<p>text").title is None


@pytest.mark.parametrize("encoding", ["iso-8859-2", "windows-1251", "shift_jis", "utf-8"])
def test_the_declared_encoding_is_used(encoding):
    words = {"iso-8859-2": "żółć", "windows-1251": "булка", "shift_jis": "名前はまだ無い"}.get(
        encoding, "日本"
    )
    source = f'<meta http-equiv="Content-Type" content="text/html; charset={encoding}"><p>{words}'
    assert read(source.encode(encoding)).text == words


def test_self_closed_elements_of_xhtml_do_not_swallow_the_page():
    source = (
        '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title>'
        '<script src="x.js"/><style/></head><body><p>one<a id="n"/></p><p/><p>two</p></body></html>'
    )
    assert read(source, "a.xhtml").text == read(source, "a.html").text == "one\n\ntwo"
    assert read(source, "a.xhtml").title == "T"


@pytest.mark.parametrize("source", ["", "   ", "<html></html>", "<p> </p>", "<frameset><frame></frameset>"])
def test_a_page_without_text_is_an_empty_document(source):
    document = read(source)
    assert (document.text, document.elements) == ("", ())


def test_a_mislabelled_page_is_refused():
    with pytest.raises(LoadingError, match="looks like a PDF document, not HTML"):
        read(b"%PDF-1.4")


def test_deep_nesting_is_walked():
    depth = 3_000
    assert read("<div>" * depth + "deep" + "</div>" * depth).text == "deep"
    assert read("<ul><li>" * 300 + "deep").text.endswith("- deep")
    assert read("<table><tr><td>" * depth + "deep").text == "deep"


TAGS = (
    "p /p div /div h1 /h1 h7 ul /ul li /li table /table tr td /td caption pre /pre br main /main article "
    "/article aside footer script /script title head body template svg /svg dl dt dd"
).split()
MARKUP = [
    "<ol start=x>",
    "<ol start=-3>",
    "<a hidden>",
    "<b role=main>",
    "<!--",
    "-->",
    "<![CDATA[",
    "<",
    ">",
]
WORDS = ["word", " ", "\n", "é", "&#0;", "&nbsp;", "&#13;", "\U0001f600", "\0"]
HTML = st.lists(st.sampled_from([*(f"<{tag}>" for tag in TAGS), *MARKUP, *WORDS]), max_size=40).map("".join)


@given(HTML)
def test_any_markup_gives_sorted_disjoint_elements(check, source):
    check(read(source))
