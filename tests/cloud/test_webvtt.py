"""Captions as people have them, made into WebVTT that shows the same and carries nothing else."""

import codecs

import pytest

from cloud_service.captions.cue_text import safe_srt, safe_vtt
from cloud_service.captions.errors import InvalidCaptions, NotCaptions
from cloud_service.captions.webvtt import MOST_CHARACTERS, MOST_CUES, to_webvtt

SRT = "1\n00:00:01,000 --> 00:00:02,500\nأهلا وسهلا\n\n2\n00:00:03,000 --> 00:00:04,000\nThe oud\nhas strings\n"
AS_VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nأهلا وسهلا\n\n00:00:03.000 --> 00:00:04.000\nThe oud\nhas strings\n"


def made(text: str) -> str:
    return to_webvtt(text.encode()).decode()


def vtt(text: str, times: str = "00:01.000 --> 00:02.000") -> str:
    return f"WEBVTT\n\n{times}\n{text}\n"


def shown(text: str) -> str:
    """What becomes of the text of a cue of WebVTT."""
    return made(vtt(text)).removeprefix("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n").removesuffix("\n")


def shown_srt(text: str) -> str:
    srt = f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n"
    return made(srt).removeprefix("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n").removesuffix("\n")


# --- what they come as ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SRT.encode(), id="plain"),
        pytest.param(codecs.BOM_UTF8 + SRT.encode(), id="utf-8-with-mark"),
        pytest.param(SRT.encode("utf-16"), id="utf-16"),
        pytest.param(codecs.BOM_UTF16_BE + SRT.encode("utf-16-be"), id="utf-16-be"),
        pytest.param(SRT.replace("\n", "\r\n").encode(), id="windows"),
        pytest.param(SRT.replace("\n", "\r").encode(), id="old-mac"),
        pytest.param(SRT.replace(",", ".").encode(), id="points"),
        pytest.param(("\n\n" + SRT + "\n\n\n").encode(), id="blank-lines-around"),
        pytest.param(SRT.replace("00:00:01,000", "0:0:1,0").encode(), id="short-times"),
        pytest.param(SRT.replace("2,500", "2,500  X1:100 X2:200 Y1:50 Y2:60").encode(), id="coordinates"),
        pytest.param(SRT.replace("1\n00", "00", 1).replace("2\n00", "00", 1).encode(), id="no-numbers"),
        pytest.param(SRT.replace("-->", "  -->\t").encode(), id="spaces"),
        pytest.param(SRT.replace("has", "\nhas").encode(), id="blank-line-in-a-cue"),
        pytest.param(SRT.replace("\n\n2\n", "\n2\n").encode(), id="no-blank-line-between"),
    ],
)
def test_subrip_becomes_webvtt(content: bytes) -> None:
    assert to_webvtt(content).decode() == AS_VTT


def test_webvtt_that_is_clean_stays_as_it_is() -> None:
    assert made(AS_VTT) == AS_VTT
    styled = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 line:10% align:start\n<v Sara><i>so</i> &amp; so\n"
    assert made(styled) == styled


@pytest.mark.parametrize("first", ["WEBVTT", "WEBVTT ", "WEBVTT - lesson 1", "WEBVTT\tFILE", "\ufeffWEBVTT"])
def test_what_follows_in_the_first_lines_goes(first: str) -> None:
    head = "Kind: captions\nLanguage: ar\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
    assert made(f"{first}\n{head}\n00:01.000 --> 00:02.000\nso\n") == vtt("so", "00:00:01.000 --> 00:00:02.000")


def test_notes_styles_regions_and_names_go() -> None:
    text = (
        "WEBVTT\n\nSTYLE\n::cue { background: url(https://example.com/x) }\n\nREGION\nid:fred\n\n"
        "NOTE <script>alert(1)</script>\n\nintro\n00:01.000 --> 00:02.000 region:fred\nso\n\nNOTE\nlast\n"
    )
    assert made(text) == vtt("so", "00:00:01.000 --> 00:00:02.000")


def test_cues_are_put_in_order() -> None:
    text = "WEBVTT\n\n00:03.000 --> 00:04.000\nlater\n\n00:01.000 --> 00:09.000\nsooner\n"
    assert made(text).index("sooner") < made(text).index("later")


def test_long_lessons_have_hours() -> None:
    assert "123:00:00.000 --> 123:00:01.000" in made(vtt("so", "123:00:00.000 --> 123:00:01.000"))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("line:0 position:50%,center size:33.5% align:end", " line:0 position:50%,center size:33.5% align:end"),
        ("vertical:rl", " vertical:rl"),
        ("line:-1,start", " line:-1,start"),
        ("region:fred style:red onclick:alert(1)", ""),
        ("align:middle line:101% size:999%", ""),
        ("align:start align:end", " align:end"),
    ],
)
def test_settings_are_those_of_webvtt(told: str, kept: str) -> None:
    assert made(vtt("so", f"00:01.000 --> 00:02.000 {told}")).split("\n")[2] == f"00:00:01.000 --> 00:00:02.000{kept}"


# --- what they say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<b>so</b> <c.loud.red>so</c> <lang ar>عود</lang>", "<b>so</b> <c.loud.red>so</c> <lang ar>عود</lang>"),
        ("<v.first Sara Ali>so", "<v.first Sara Ali>so"),
        ("<ruby>a<rt>b</rt></ruby> <00:00:01.500>so", "<ruby>a<rt>b</rt></ruby> <00:00:01.500>so"),
        ("<script>alert(1)</script>", "alert(1)"),
        ('<img src=x onerror="alert(1)">so', "so"),
        ("<a href=javascript:alert(1)>so</a>", "so"),
        ('<b onclick="alert(1)">so</b>', "<b>so</b>"),
        ("<b/onclick=x>so", "so"),
        ("<BODY onload=x>so", "so"),
        ("<scr<script>ipt>so", "&lt;script&gt;so"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("&#60;script&#62;", "&lt;script&gt;"),
        ("&amp;lt;b&amp;gt;", "&amp;lt;b&amp;gt;"),
        ("1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"),
        ("I <3 you > me", "I &lt;3 you &gt; me"),
        ("unfinished <b", "unfinished &lt;b"),
        ("so&#10;&#10;STYLE&#10;::cue{}", "so\nSTYLE\n::cue{}"),
        ("so&#13;&#13;NOTE x", "so\nNOTE x"),
        ("so&#10;00:05.000 --&#62; 00:06.000", "so\n00:05.000 --&gt; 00:06.000"),
        ("<v a&#62;&#60;script>so", "<v a&gt;&lt;script>so"),
        ("<v Omar onfocus=x() tabindex&#61;1 autofocus>so", "<v Omar onfocus&#61;x() tabindex&#61;1 autofocus>so"),
        ("a\x07b\x0cc\x7fd\u2028e", "abcde"),
        ("\u202bعود\u202c", "\u202bعود\u202c"),
    ],
)
def test_only_the_tags_of_webvtt_are_tags(text: str, kept: str) -> None:
    assert shown(text) == kept
    assert shown(kept) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<I>so</I> <B>so</B>", "<i>so</i> <b>so</b>"),
        ('<font color="#ff0000">so</font>', "so"),
        ("{\\an8}so {\\pos(1,2)}so", "so so"),
        ("{so}", "{so}"),
        ("AT&T &amp; so", "AT&amp;T &amp;amp; so"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("1 < 2", "1 &lt; 2"),
    ],
)
def test_tags_of_subrip_become_those_of_webvtt(text: str, kept: str) -> None:
    assert shown_srt(text) == kept


def test_a_cue_that_says_nothing_goes() -> None:
    assert (
        made("WEBVTT\n\n00:00.000 --> 00:01.000\n<script></script>\n\n00:01.000 --> 00:02.000\nso\n").count("-->") == 1
    )


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SRT.encode("cp1256"), id="windows-1256"),
        pytest.param("1\n00:00:01,000 --> 00:00:02,000\ncafé\n".encode("cp1252"), id="windows-1252"),
        pytest.param(SRT.encode("utf-16-le"), id="utf-16-without-mark"),
        pytest.param(codecs.BOM_UTF16_LE + b"x", id="half-a-character"),
        pytest.param(b"\xff\xd8\xff\xe0JFIF" + bytes(100), id="picture"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="zip"),
        pytest.param(b"<html><script>alert(1)</script></html>", id="html"),
        pytest.param(b"[Script Info]\nTitle: so\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,,,,,so", id="ass"),
        pytest.param(b"<?xml version='1.0'?><tt xmlns='http://www.w3.org/ns/ttml'/>", id="ttml"),
        pytest.param(b"WEBVTTX\n\nso", id="another-word"),
        pytest.param(b"just some text", id="text"),
        pytest.param(b"a --> b\nso", id="an-arrow"),
        pytest.param(b"\n\n\n", id="blank"),
    ],
)
def test_what_is_neither_webvtt_nor_subrip_is_refused(content: bytes) -> None:
    with pytest.raises(NotCaptions):
        to_webvtt(content)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (vtt("so", "00:02.000 --> 00:01.000"), "Line 3"),
        (vtt("so", "00:01.000 --> 00:01.000"), "Line 3"),
        (vtt("so", "00:01,000 --> 00:02,000"), "Line 3"),
        (vtt("so", "00:61.000 --> 00:62.000"), "Line 3"),
        (vtt("so", "1 --> 2"), "Line 3"),
        (vtt("so", "-00:01.000 --> 00:02.000"), "Line 3"),
        (vtt("so", "٠٠:٠١.٠٠٠ --> ٠٠:٠٢.٠٠٠"), "Line 3"),
        (vtt("so\nnever --> this"), "Line 5"),
        (SRT.replace("00:00:04,000", "00:00:02,000"), "Line 6"),
        (SRT.replace("00:00:04,000", "never"), "Line 6"),
    ],
)
def test_times_that_make_no_sense_are_refused_with_their_line(content: str, line: str) -> None:
    with pytest.raises(InvalidCaptions, match=line):
        made(content)


@pytest.mark.parametrize("content", ["WEBVTT", "WEBVTT\n\nNOTE so\n", vtt(""), vtt("<script></script>")])
def test_captions_without_a_cue_are_refused(content: str) -> None:
    with pytest.raises(InvalidCaptions, match="not one cue"):
        made(content)


def test_there_is_an_end_to_cues() -> None:
    with pytest.raises(InvalidCaptions, match=str(MOST_CUES)):
        made("WEBVTT\n\n" + "00:01.000 --> 00:02.000\nso\n\n" * (MOST_CUES + 1))


@pytest.mark.parametrize(
    "text", ["<" * 2**20, "<b" * 2**19, "&" * 2**20, "{\\" * 2**19, "\n" * 2**20, "a " * 2**19, "<v " + " " * 2**20]
)
def test_a_long_text_takes_no_longer_than_its_length_needs(text: str) -> None:
    """A pattern that goes back and forth would take hours."""
    assert safe_vtt(f"so {text}").startswith("so")
    assert safe_srt(f"so {text}").startswith("so")


def test_a_cue_has_an_end() -> None:
    assert made(vtt("a" * MOST_CHARACTERS)).startswith("WEBVTT")
    with pytest.raises(InvalidCaptions, match="Line 3"):
        made(vtt("a" * (MOST_CHARACTERS + 1)))
