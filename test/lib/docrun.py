#!/usr/bin/python3
"""Take the programs, transcripts, tables and rules out of a Markdown file.

    docrun.py extract FILE DIR          every ```LANG name=NAME block becomes DIR/NAME;
                                        prints "LANG<TAB>NAME" for each
    docrun.py block NAME FILE           prints that block
    docrun.py run FILE [option...]      runs the transcripts, says what differs
        --backends DIR                  where the programs are (extract's DIR, then
                                        backends/NAME/NAME of the project)
        --fixture DIR                   copied for each transcript; it is /srv/mail there
        --sh SHELL                      runs programs that begin with #!/bin/sh; words
        --only NAME                     transcripts of this backend
    docrun.py console FILE              runs the ```console blocks in the working directory
    docrun.py table verbs|codes FILE    prints a table, a row a line, cells separated by tabs
    docrun.py rules FILE                prints "NUMBER<TAB>first line" of every numbered rule

A transcript is a block ```transcript BACKEND [ARGUMENT...]:

    -> REQUEST       sent to the backend
    <- LINE          must come back, byte for byte: a line of a reply, or of octets
    $ COMMAND        run by sh meanwhile
    # REMARK

Two names stand for folders that differ in each run, in every kind of line and in
arguments: /srv/mail, the copy of the fixture, and /run/bridge-1, BRIDGE_TMP. In
replies they are turned back before the comparison. Nothing else is let pass. After
the last line standard input is closed: the backend must write no more, and exit
with 0.

A console block is what a reader types and sees:

    $ COMMAND        run by sh
    >MORE            goes on with the command of the line before
    LINE             must come back on standard output; a CR at its end is not shown
"""
import argparse
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_SECS = 10.0
CONSOLE_SECS = 120.0
STORE, TMP = "/srv/mail", "/run/bridge-1"
PROJECT = Path(__file__).resolve().parents[2]
TABLES = {"verbs": "request", "codes": "code"}


@dataclass
class Block:
    """A fenced block: the words after the fence, its lines, its place."""

    words: list[str]
    line: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines)


class Failure(Exception):
    """Something in the document is not as it should be."""


def blocks(path: Path) -> Iterator[Block]:
    """All fenced blocks; an indented fence (in a list) loses its indent."""
    block, indent = None, ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"( *)```(.*)$", line)
        if block is None and fence:
            indent, block = fence[1], Block(fence[2].split(), number)
        elif block is not None and fence and not fence[2]:
            yield block
            block = None
        elif block is not None:
            block.lines.append(line.removeprefix(indent))
    if block is not None:
        raise Failure(f"{path}:{block.line}: this block does not end")


def programs(path: Path) -> Iterator[tuple[str, str, str]]:
    """Language, name and text of every named block."""
    for block in blocks(path):
        names = [word.removeprefix("name=") for word in block.words[1:] if word.startswith("name=")]
        if names:
            yield block.words[0], names[0], block.text


def extract(path: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for language, name, text in programs(path):
        if not text.startswith("#!"):
            raise Failure(f"{path}: {name} does not begin with #!")
        (target / name).write_text(text, encoding="utf-8")
        (target / name).chmod(0o755)
        print(language, name, sep="\t")


def print_block(wanted: str, path: Path) -> None:
    for _language, name, text in programs(path):
        if name == wanted:
            print(text, end="")
            return
    raise Failure(f"{path}: no block name={wanted}")


class Copy:
    """One running copy of a backend."""

    def __init__(self, argv: list[str], tmp: Path, errors: Path) -> None:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "BRIDGE_PROTOCOL": "1",
                       "BRIDGE_USER": "ann", "BRIDGE_TMP": str(tmp)}
        self.errors = errors.open("wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=environment, bufsize=0)
        self.buffer = b""

    def send(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")

    def read_more(self) -> bool:
        """False at the end of output, or when nothing came in time."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], DEADLINE_SECS)[0]:
            self.buffer += b"(nothing more came in time)"
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        self.buffer += data
        return bool(data)

    def read_line(self) -> bytes:
        while b"\n" not in self.buffer and self.read_more():
            pass
        line, _lf, self.buffer = self.buffer.partition(b"\n")
        return line

    def finish(self) -> tuple[bytes, int]:
        """Close standard input; what else was written, and the exit status."""
        assert self.process.stdin
        self.process.stdin.close()
        while self.read_more():
            pass
        try:
            return self.buffer, self.process.wait(DEADLINE_SECS)
        finally:
            self.end()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()


def command_of(name: str, backends: Path, shell: str | None) -> list[str]:
    for path in (backends / name, PROJECT / "backends" / name / name):
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                is_sh = file.readline().rstrip("\n") == "#!/bin/sh"
            return [*shell.split(), str(path)] if shell and is_sh else [str(path)]
    raise Failure(f"there is no backend {name}")


def run_transcript(block: Block, options: argparse.Namespace, work: Path) -> list[str]:
    """What differs, as lines to print; nothing if all is as written."""
    store, tmp = work / "store", work / "tmp"
    tmp.mkdir(mode=0o700)
    if options.fixture:
        shutil.copytree(options.fixture, store)
    else:
        store.mkdir()

    def there(text: str) -> str:
        return text.replace(STORE, str(store)).replace(TMP, str(tmp))

    def back(data: bytes) -> str:
        return (data.replace(os.fsencode(store), STORE.encode())
                .replace(os.fsencode(tmp), TMP.encode()).decode("utf-8", "backslashreplace"))

    name, *arguments = block.words[1:]
    copy = Copy([*command_of(name, options.backends, options.sh), *map(there, arguments)],
                tmp, work / "stderr")
    faults = []
    try:
        for number, line in enumerate(block.lines, block.line + 1):
            mark, _space, rest = line.partition(" ")
            if mark == "->":
                copy.send(there(rest).encode())
            elif mark == "<-":
                got = back(copy.read_line())
                if got != rest:
                    faults += [f"line {number} expects {rest}", f"line {number} got     {got}"]
            elif mark == "$":
                subprocess.run(["sh", "-ec", there(rest)], check=True, timeout=DEADLINE_SECS)
            elif mark != "#":
                raise Failure(f"line {number}: neither ->, <-, $ nor #: {line}")
        remains, status = copy.finish()
        faults += [f"not expected: {text}" for text in back(remains).splitlines()]
        if status != 0:
            faults.append(f"exit status {status}")
    finally:
        copy.end()
    if faults:
        faults += ["stderr: " + text for text in (work / "stderr").read_text().splitlines()]
    return faults


def run(options: argparse.Namespace) -> None:
    count = failed = 0
    for block in blocks(options.file):
        if block.words[:1] != ["transcript"]:
            continue
        if options.only and block.words[1] != options.only:
            continue
        count += 1
        with tempfile.TemporaryDirectory(prefix="docrun-") as work:
            faults = run_transcript(block, options, Path(work).resolve())
        if faults:
            failed += 1
            print(f"{options.file}:{block.line}: {' '.join(block.words)}", *faults, sep="\n    ")
    print(f"{count} transcripts, {failed} failed")
    if failed or not count:
        sys.exit(1)


def console_steps(block: Block) -> list[tuple[str, list[str]]]:
    """Each command, and the lines that it prints."""
    steps: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ "), []))
        elif not steps:
            raise Failure(f"{block.line}: a console block begins with a command")
        elif line.startswith(">"):
            steps[-1] = (steps[-1][0] + "\n" + line.removeprefix(">"), steps[-1][1])
        else:
            steps[-1][1].append(line)
    return steps


def console(path: Path) -> None:
    """Run what a reader types; say what is printed other than as written."""
    steps = [step for block in blocks(path) if block.words[:1] == ["console"]
             for step in console_steps(block)]
    if not steps:
        raise Failure(f"{path} has no console block")
    for command, expected in steps:
        shown = subprocess.run(["sh", "-ec", command], check=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, timeout=CONSOLE_SECS).stdout
        got = [line.removesuffix("\r") for line in shown.decode().split("\n")[:-1]]
        if got != expected:
            raise Failure("\n    ".join([f"{path}: {command}", *expected, "printed", *got]))
    print(f"{len(steps)} commands")


def table(which: str, path: Path) -> None:
    """The table whose first column is called so; cells keep their Markdown."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in table_lines(TABLES[which], path)]
    for row in rows[2:]:  # after the head and its rule
        print(*row, sep="\t")


def table_lines(first: str, path: Path) -> Iterator[str]:
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        is_row = line.lstrip().startswith("|")
        inside = is_row and (inside or line.lstrip().startswith(f"| {first} |"))
        if inside:
            yield line


def rules(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"- \*\*(\d+\.\d+)\*\* (.*)", line)
        if found:
            print(found[1], found[2], sep="\t")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("extract")
    command.add_argument("file", type=Path)
    command.add_argument("dir", type=Path)
    command = commands.add_parser("block")
    command.add_argument("name")
    command.add_argument("file", type=Path)
    command = commands.add_parser("run")
    command.add_argument("file", type=Path)
    command.add_argument("--backends", type=Path, default=PROJECT / "backends")
    command.add_argument("--fixture", type=Path)
    command.add_argument("--sh")
    command.add_argument("--only")
    command = commands.add_parser("console")
    command.add_argument("file", type=Path)
    command = commands.add_parser("table")
    command.add_argument("which", choices=sorted(TABLES))
    command.add_argument("file", type=Path)
    command = commands.add_parser("rules")
    command.add_argument("file", type=Path)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    try:
        if options.command == "extract":
            extract(options.file, options.dir)
        elif options.command == "block":
            print_block(options.name, options.file)
        elif options.command == "run":
            run(options)
        elif options.command == "console":
            console(options.file)
        elif options.command == "table":
            table(options.which, options.file)
        else:
            rules(options.file)
    except (Failure, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"docrun: {error}")


if __name__ == "__main__":
    main()
