# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0
"""Works on asciinema casts (version 2) for hack/record.sh.

clean  takes out what belongs to this machine, cuts idle times and merges what is too
       quick for an eye.
draw   makes an animated SVG without scripts that GitHub shows.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

IDLE = 1.0  # longest time without a change, in seconds
FRAME = 0.1  # what comes quicker is one event
LIMIT = 300_000  # bytes of an SVG


def read(path):
    """The header of a cast and its events as (seconds, text)."""
    lines = pathlib.Path(path).read_text().splitlines()
    events = [json.loads(line) for line in lines[1:]]
    return json.loads(lines[0]), [(e[0], e[2]) for e in events if e[1] == "o"]


def write(path, header, events):
    """A cast that says nothing of when and where it was made."""
    kept = {"version": 2, "width": header["width"], "height": header["height"], "env": {"TERM": "xterm-256color"}}
    lines = [json.dumps(kept)] + [json.dumps([round(at, 3), "o", text], ensure_ascii=False) for at, text in events]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def secrets(root):
    """What must not be seen, as (pattern, replacement), longest first."""
    words = {root: "~/meshfed", str(pathlib.Path.home()): "~"}
    for line in os.environ.get("SCRUB", "").splitlines():
        word, _, replacement = line.partition("=")
        if word:
            words[word] = replacement
    for name in {socket.gethostname(), socket.getfqdn()}:
        if len(name) > 2 and name != "localhost":
            words[name] = "host"
    ordered = sorted(words.items(), key=lambda pair: -len(pair[0]))
    return [(re.compile(r"(?<![\w.-])" + re.escape(word) + r"(?![\w-])"), replacement) for word, replacement in ordered]


def scrub(events, pattern, replacement):
    """Replaces a pattern also where it begins in one event and ends in another."""
    text = "".join(part for _, part in events)
    matches = list(pattern.finditer(text))
    out, position, n = [], 0, 0
    for at, part in events:
        end, kept, cursor = position + len(part), "", position
        while n < len(matches) and matches[n].start() < end:
            match = matches[n]
            if match.start() >= position:
                kept += text[cursor:match.start()] + replacement
            cursor = min(match.end(), end)
            if match.end() > end:
                break
            n += 1
        out.append((at, kept + text[cursor:end]))
        position = end
    return out


def paced(events, speed):
    """Times from zero, idle ones cut, quick ones merged."""
    out, now, last = [], 0.0, 0.0
    for at, text in events:
        now += min((at - last) / speed, IDLE)
        last = at
        if out and now - out[-1][0] < FRAME:
            out[-1] = (out[-1][0], out[-1][1] + text)
        elif text:
            out.append((now, text))
    return out


def clean(args):
    header, events = read(args.source)
    for pattern, replacement in secrets(args.root):
        events = scrub(events, pattern, replacement)
    text = "".join(part for _, part in events)
    for pattern, _ in secrets(args.root):
        if found := pattern.search(text):
            sys.exit(f"error: {found.group(0)!r} is still in the recording")
    write(args.target, header, paced(events, args.speed))


def faint_as_grey(text):
    """termtosvg knows no faint text; bright black looks alike in the template."""
    return re.sub(r"\x1b\[2m", "\x1b[90m", text)


def slim(svg):
    """Characters as themselves, and no text that is only space: backgrounds are drawn apart."""
    svg = re.sub(r"&#(\d+);", lambda match: chr(int(match.group(1))) if int(match.group(1)) > 127 else match.group(0), svg)
    return re.sub(r"<text [^>]*> *</text>", "", svg)


def draw(args):
    header, events = read(args.source)
    with tempfile.TemporaryDirectory() as folder:
        # The longest frame time that fits: many short ones make a smoother picture.
        for shortest in (200, 400, 700, 1000):
            cast, svg = os.path.join(folder, "cast"), os.path.join(folder, "svg")
            write(cast, header, [(at, faint_as_grey(text)) for at, text in events])
            subprocess.run(
                [os.path.join(os.path.dirname(sys.executable), "termtosvg"), "render", cast, svg, "--template", args.template,
                 "--min-frame-duration", str(shortest), "--max-frame-duration", str(int(IDLE * 1000)), "--loop-delay", "6000"],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            text = slim(pathlib.Path(svg).read_text())
            if len(text.encode()) <= LIMIT:
                break
        else:
            sys.exit(f"error: {args.target} has {len(text.encode())} bytes, {LIMIT} are allowed: record less, or raise SPEED")
    if "<script" in text or re.search(r"(href|src)=\"(?!#)|url\((?!#)", text):
        sys.exit("error: the SVG has a script or needs something from elsewhere")
    pathlib.Path(args.target).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("clean")
    command.add_argument("--root", required=True)
    command.add_argument("--speed", type=float, default=1)
    command.set_defaults(run=clean)
    drawing = commands.add_parser("draw")
    drawing.add_argument("--template", required=True)
    drawing.set_defaults(run=draw)
    for each in (command, drawing):
        each.add_argument("source")
        each.add_argument("target")
    args = parser.parse_args()
    args.run(args)


main()
