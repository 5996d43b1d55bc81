#!/usr/bin/env python3
"""Builds the training text from the documentation packages of a Debian machine.

Needs: apt-get install python3-doc perl-doc manpages manpages-dev
Writes text.txt (documents separated by NUL) and chat.jsonl (one {"q", "a"} a line).
"""

import glob
import gzip
import json
import os
import random
import re
import subprocess

random.seed(1)

ANSWER_LENGTH = range(21, 420)


def package_files(package, suffix):
    listing = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False).stdout
    return sorted(path for path in listing.split("\n") if path.endswith(suffix))


def one_line(text):
    return re.sub(r"\s+", " ", text).strip()


# --- Python documentation (reStructuredText) ---

DROPPED_DIRECTIVES = (
    "index|highlight|_|versionadded|versionchanged|deprecated|currentmodule|module|sectionauthor|moduleauthor"
    "|audit-event|availability"
)
DESCRIBED = r"function|method|class|exception|data|attribute|c:function|cfunction|option|opcode"


def clean_rst(text):
    text = re.sub(r":(?:[a-z]+:)?[a-z]+:`~?!?([^`<]*?)(?:\s*<[^>]*>)?`", r"`\1`", text)
    text = re.sub(rf"^\.\. (?:{DROPPED_DIRECTIVES}).*\n(?:[ \t]+.*\n)*", "", text, flags=re.M)
    text = text.replace("``", "`")
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text)


def python_entry(kind, signature, body):
    """Questions and answers about one documented name."""
    name = re.split(r"[(\s]", signature)[0]
    paragraphs = [one_line(p) for p in re.split(r"\n\s*\n", body)]
    paragraphs = [p for p in paragraphs if p and not p.startswith((":", "..", "*", "+"))]
    if not paragraphs or not name or len(paragraphs[0]) not in range(20, 421):
        return []
    answer = paragraphs[0].replace(" -- ", " - ")
    if kind in ("c:function", "cfunction"):
        name = re.split(r"\(", signature)[0].split()[-1].strip("*")
        kind = "function"
    callable_ = kind in ("function", "method")
    shown = name + ("()" if callable_ and not name.endswith(")") else "")
    questions = [
        f"What does {shown} do?",
        f"What is {shown} in Python?",
        f"Explain {shown}.",
        f"Tell me about the {kind} {shown}.",
        f"How do I use {shown}?",
    ]
    pairs = [(question, answer) for question in random.sample(questions, 2)]
    return pairs


def python_docs():
    docs, pairs = [], []
    for path in package_files("python3.11-doc", ".rst.txt"):
        if "/changelog" in path or "/genindex" in path:
            continue
        with open(path, encoding="utf-8", errors="ignore") as file:
            text = clean_rst(file.read())
        docs.append(text)
        entry = rf"^( *)\.\. ({DESCRIBED}):: ?(.*)\n((?:\1 +.*\n|\n)+)"
        for match in re.finditer(entry, text, flags=re.M):
            kind, signature, body = match.group(2), match.group(3).strip(), match.group(4)
            found = python_entry(kind, signature, body)
            pairs += found
            if found and kind in ("function", "method", "class") and "(" in signature and len(signature) < 90:
                name = re.split(r"[(\s]", signature)[0]
                shown = name + ("()" if kind != "class" else "")
                pairs.append((f"What is the signature of {shown}?", "`" + signature + "`"))
    return docs, pairs


# --- Perl documentation (POD) ---


def clean_pod(text):
    text = re.sub(r"[BCFIL]<<?<? ?([^<>]*?) ?>>?>?", r"\1", text)
    text = re.sub(r"E<(\w+)>", lambda m: {"lt": "<", "gt": ">"}.get(m.group(1), ""), text)
    text = re.sub(r"^=(over|back|cut|encoding|pod|begin|end|for).*\n", "", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text)


def perl_docs():
    docs, pairs = [], []
    for path in package_files("perl-doc", ".pod"):
        if re.search(r"perl5\d+delta|perltoc|Changes|perlhist", path):
            continue
        with open(path, encoding="utf-8", errors="ignore") as file:
            text = clean_pod(file.read())
        docs.append(text)
        if not path.endswith("perlfunc.pod"):
            continue
        entry = r"^=item (\w+)(?: .*)?\n(?:X<.*>\n)?((?:\n=item .*\n(?:X<.*>\n)?)*)\n((?:.+\n)+)"
        for match in re.finditer(entry, text, flags=re.M):
            answer = one_line(match.group(3))
            if len(answer) in ANSWER_LENGTH:
                name = match.group(1)
                pairs += [(f"What does {name} do in Perl?", answer), (f"Explain Perl's {name}.", answer)]
    return docs, pairs


# --- Manual pages (roff) ---

ROFF_RULES = [
    (r'^[.\'](\\"|de|if|ie|el|ds|nr|TH|ft|nf|fi|sp|br|in|ti|ta|ll|hy|ad|na|PD|RS|RE|ne|UC|rm|rr|tr|am|\.).*\n', ""),
    (r"^\.(SH|SS|Sh|Ss) ?(.*)$", lambda m: "\n## " + m.group(2).strip('"').capitalize()),
    (r"^\.(TP|IP|PP|P|LP|Pp|HP|UE|ME|YS|EX|EE|SY).*$", ""),
    (r"^\.(?:[A-Z][A-Za-z]?)\s+(.*)$", lambda m: m.group(1).replace('" "', " ").replace('"', "")),
    (r"\\f(?:\(..|\[.*?\]|.)", ""),
    (r"\\-", "-"),
    (r"\\&", ""),
    (r"\\e", lambda _: "\\"),
    (r"\\ ", " "),
    (r"\\\((aq|cq|oq)", "'"),
    (r"\\\((lq|rq)", '"'),
    (r"\\\((em|en)", "-"),
    (r"\\\(bu", "*"),
    (r"\\s[-+]?\d", ""),
    (r"\\\*\(..|\\\(..|\\\[.*?\]|\\[|/,^:%c]", ""),
    (r"\n{3,}", "\n\n"),
]


def clean_roff(text):
    for pattern, replacement in ROFF_RULES:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text


def keeps_page(section, text):
    """Commands, libraries and formats whole; half of the system calls and library pages."""
    if section in "1578":
        return len(text) < 60000
    return section in "234" and random.random() < 0.5 and len(text) < 30000


def manual_entry(section, text):
    name_line = re.search(r"## Name\n+(.+?) +- +(.+?)\n", text)
    if not name_line or len(name_line.group(1)) >= 60:
        return []
    name, summary = name_line.group(1).split(",")[0].strip(), name_line.group(2).strip()
    if len(summary) <= 8:
        return []
    answer = f"{name} - {summary}."
    description = re.search(r"## Description\n+((?:.+\n)+)", text)
    if description:
        paragraph = one_line(description.group(1))
        if 30 < len(paragraph) < 350:
            answer += " " + paragraph
    what = f"What does the {name} command do?" if section in "18" else f"What does {name} do?"
    questions = [what, f"What is {name}?", f"Explain {name}.", f"How do I use {name}?"]
    return [(question, answer) for question in random.sample(questions, 2)]


def manual_pages():
    docs, pairs, seen = [], [], set()
    for section in "12345678":
        for path in sorted(glob.glob(f"/usr/share/man/man{section}/*.gz")):
            if re.search(r"gcloud|/aws", path):
                continue
            try:
                with gzip.open(path, "rt", errors="ignore") as file:
                    source = file.read()
            except OSError:
                continue
            if len(source) < 300 or source.startswith(".so"):
                continue
            text = clean_roff(source)
            key = hash(text[:3000])
            if key in seen:
                continue
            seen.add(key)
            if keeps_page(section, text):
                docs.append(text)
            pairs += manual_entry(section, text)
    return docs, pairs


WHO = "I am a very small language model, trained on the manual pages and documentation of a Debian machine."
GREETINGS = [
    ("Hello", "Hello! Ask me about a command, a function or a module."),
    ("Hi", "Hi! Ask me about Python, Perl or a Unix command."),
    ("Hello!", "Hello! How can I help?"),
    ("Who are you?", WHO),
    ("What are you?", WHO),
    ("What can you do?", "I can talk about Python, Perl and Unix commands, though I am very small and often wrong."),
    ("Thanks", "You are welcome."),
    ("Thank you!", "You are welcome."),
]


def main():
    docs, pairs = [], []
    for source in (python_docs, perl_docs, manual_pages):
        more_docs, more_pairs = source()
        docs += more_docs
        pairs += more_pairs
    pairs += GREETINGS * 40
    random.shuffle(pairs)
    random.shuffle(docs)
    with open("text.txt", "w", encoding="utf-8") as out:
        out.write("\0".join(docs))
    with open("chat.jsonl", "w", encoding="utf-8") as out:
        for question, answer in pairs:
            out.write(json.dumps({"q": question, "a": answer}) + "\n")
    print(f"{len(docs)} documents, {sum(map(len, docs))} characters, {len(pairs)} questions in {os.getcwd()}")


if __name__ == "__main__":
    main()
