"""Make text safe for where it goes: a terminal, HTML, XML, Markdown, a job's log, a chart.

Names, notes and messages may hold whatever a student's code said, so everything shown passes through one of these.
"""

from __future__ import annotations

import codecs
import html
import io
import re
import tokenize
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

Titles = Mapping[str, str]
"""The title of each task by its id, for people to read."""
REPLACEMENT = "\ufffd"
"""What stands for a character that cannot be shown."""
_LONGEST_NAME = 80
_LONGEST_ID = 200
"""Bytes of a student's id: names of files begin with it, and most file systems allow them 255."""
_ENCODINGS = {"utf-8", "utf-8-sig", "ascii", "iso8859-1", "iso8859-15", "cp1252", "mac-roman"}
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Fillers, which count as letters or symbols and show nothing."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&:])")


def clean(text: str) -> str:
    """Replace what could steer a terminal or break a file: control and format characters, lone surrogates."""
    return "".join(
        REPLACEMENT if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\n\t" else character
        for character in text
    )


def clean_name(name: str) -> str:
    """Return the name of a file as it can be printed anywhere: on one line, and not endless."""
    return "".join(character if character.isprintable() else REPLACEMENT for character in name[:_LONGEST_NAME])


def printable(name: str) -> str:
    """Return a student's id or name as any terminal and page can show it; two of them stay different."""
    return name if name.isprintable() and (is_visible(name) or not name) else ascii(name)


def problem_with_id(student: str) -> str:
    """Return why a name cannot be a student's id, as a sentence; empty if it can."""
    why = _why_no_id(student)
    return f"{student!a} cannot be a student's id: {why}." if why else ""


def _why_no_id(student: str) -> str:
    if not student.isprintable():
        return "it holds control characters, or bytes that are no text"
    if not student.strip(".") or student != student.strip() or "/" in student or not student.strip("*"):
        return "nbgrader reads it as a pattern, or as another folder"
    if len(student.encode()) > _LONGEST_ID:
        return "it is too long for the name of a file"
    if student.startswith("."):
        return "nbgrader passes over folders whose names begin with a dot"
    if set(student) & set('<>&"'):
        return "formgrader's pages would read it as HTML"
    if student[0] in "=+-@":
        return "spreadsheets would read it as a formula"
    return ""


def one_form(name: str) -> str:
    """Return a name in the one form of Unicode that stands for all: macOS writes accents as characters of their own."""
    return unicodedata.normalize("NFC", name)


def is_visible(name: str) -> bool:
    """Return whether there is anything to see of a name: joiners, fillers and combining marks alone are not."""
    return any(unicodedata.category(character)[0] in "LNPS" and character not in _BLANKS for character in name)


def without_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which no UTF-8 file can hold; all else stays."""
    return text.encode("utf-8", "replace").decode("utf-8")


def escape_controls(text: str) -> str:
    r"""Write each control character but the ends of lines as its escape, such as `\x1b`."""
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def escape_html(text: str) -> str:
    """Return text for the content or a quoted attribute of an HTML element."""
    return html.escape(clean(text))


def escape_xml(text: str) -> str:
    """Return text that XML 1.0 can hold; the XML library does the quoting."""
    return re.sub("[\ufffe\uffff]", REPLACEMENT, clean(text))


def escape_markdown(text: str) -> str:
    """Return text on one line that Markdown takes literally: no markup, HTML, link or mention."""
    line = _MARKDOWN.sub(r"\\\1", " ".join(clean(text).split()))
    return line.replace("@", "@\u200b")  # a zero-width space: GitHub notifies whoever is mentioned


def escape_workflow_command(text: str, separators: str = "") -> str:
    """Return text for one of GitHub's workflow commands, on one line.

    Args:
        text: A message, or the value of a property.
        separators: Characters that would end a property's value.
    """
    return re.sub(f"[%\n{separators}]", lambda found: f"%{ord(found[0]):02X}", clean(text))


def show_time(time: datetime, zone: tzinfo) -> str:
    """Return a time of the gradebook, which is UTC without a zone, as it is read in a zone."""
    return in_zone(time, zone).strftime("%Y-%m-%d %H:%M %Z")


def in_zone(time: datetime, zone: tzinfo) -> datetime:
    """Return a time of the gradebook, which is UTC without a zone, in a zone; the last hours of 9999 stay in UTC."""
    aware = time.replace(tzinfo=UTC)
    try:
        return aware.astimezone(zone)
    except OverflowError:
        return aware


def escape_mathtext(text: str) -> str:
    """Return text that matplotlib takes literally: dollar signs would begin a formula."""
    return clean(text).replace("$", r"\$")


def indent_lines(text: str, width: int) -> str:
    """Clean text and indent all lines but the first."""
    return clean(text).replace("\n", "\n" + " " * width)


def first_sentences(text: str, longest: int) -> str:
    """Return as many first sentences of a text as fit into so many characters; the beginning of one that does not."""
    if len(text) <= longest:
        return text
    end = text.rfind(". ", 0, longest) + 1
    return text[:end] or f"{text[:longest]} …"


def counted(number: int, thing: str) -> str:
    """Return a number of things, such as `1 hand-in` or `2 hand-ins`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def slug_in_words(slug: str) -> str:
    """Return a slug in words; a plus joins the two mistakes that an ambiguous answer fits."""
    return slug.replace("_", " ").replace("+", " or ")


def title_of(task_id: str, titles: Titles) -> str:
    """Return a task's or a question's title; one without its own has its id in words, such as `Question 1`."""
    return titles.get(task_id) or id_in_words(task_id)


def id_in_words(task_id: str) -> str:
    """Return an id as a title: `vit_model` is `Vit model`, `question_01` is `Question 1`."""
    words = [word.lstrip("0") or "0" if word.isdecimal() else word for word in task_id.split("_") if word]
    title = " ".join(words)
    return title[:1].upper() + title[1:]


def is_source_text(module: bytes) -> bool:
    """Return whether the module can be read in the encoding that it names.

    Some of Python's codecs take time that grows with the square of the length, punycode for one, so few are tried.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(module).readline)
        if codecs.lookup(encoding).name not in _ENCODINGS:
            return False
        module.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return False
    return True
