#!/usr/bin/python3
"""opstore.py FILE [--trace FILE] [--caps WORDS]: a store whose history is a file.

Each line of FILE is one step: "add BOX ID [OPTION...]", "del BOX ID",
"box BOX [OPTION...]" or "nobox BOX"; a state is the number of lines. So a list can
be asked for in full or since any state, by any number of copies. After "down BOX"
that mailbox cannot be reached, and the list of mailboxes is a delta that does not
name it, until "up BOX". "okid BOX [ID]" is an id= that only the OK of LIST BOX gives.
"""

import sys

Messages = dict[str, list[str]]


def names_of(steps: list[str], on: str, off: str) -> dict[str, str]:
    """What "on BOX [TEXT]" said and "off BOX" did not take back."""
    names: dict[str, str] = {}
    for word, box, *text in (step.split() for step in steps):
        if word == on:
            names[box] = " ".join(text)
        elif word == off:
            names.pop(box, None)
    return names


def play(steps: list[str]) -> tuple[dict[str, list[str]], dict[str, Messages]]:
    """What there is after these steps: options of mailboxes, messages of each."""
    boxes: dict[str, list[str]] = {}
    mail: dict[str, Messages] = {}
    for step in steps:
        match step.split():
            case ["box", box, *options]:
                boxes[box] = options
                mail.setdefault(box, {})
            case ["nobox", box]:
                del boxes[box], mail[box]
            case ["add", box, ident, *options]:
                mail[box].pop(ident, None)
                mail[box][ident] = options
            case ["del", box, ident]:
                del mail[box][ident]
    return boxes, mail


def delta(steps: list[str], box: str) -> list[str]:
    """The items for what these steps did to a mailbox, the last word on each id."""
    last: dict[str, str] = {}
    for step in steps:
        match step.split():
            case ["add", where, ident, *options] if where == box:
                last[ident] = " ".join(["* MSG", ident, *options])
            case ["del", where, ident] if where == box:
                last[ident] = f"* GONE {ident}"
    return list(last.values())


def list_box(steps: list[str], box: str, state: str, with_delta: bool) -> list[str]:
    mail = play(steps)[1]
    if box in names_of(steps, "down", "up"):
        return ["NO UNAVAILABLE its store is down"]
    if box not in mail:
        return ["NO NOTFOUND no such mailbox"]
    ident = names_of(steps, "okid", "nobox").get(box, "")
    ident = f" id={ident}" if ident else ""
    if with_delta and state.isdigit() and int(state) <= len(steps):
        return [*delta(steps[int(state):], box), f"OK delta state={len(steps)}{ident}"]
    items = [" ".join(["* MSG", name, *options]) for name, options in mail[box].items()]
    return [*items, f"OK full state={len(steps)} count={len(items)}{ident}"]


def main() -> None:
    path, *rest = sys.argv[1:]
    options = dict(zip(rest[::2], rest[1::2]))
    caps = options.get("--caps", "delta")
    trace = open(options.get("--trace", "/dev/null"), "a", encoding="utf-8")
    for line in sys.stdin:
        print(line, end="", file=trace, flush=True)
        with open(path, encoding="utf-8") as file:
            steps = file.read().splitlines()
        match line.split():
            case ["CAPS", *_]:
                reply = [f"* CAPS 1 {caps}", "OK"]
            case ["LIST"]:
                down = names_of(steps, "down", "up")
                reply = [" ".join(["* BOX", box, *words]) for box, words in play(steps)[0].items() if box not in down]
                reply.append("OK delta" if down else "OK full")
            case ["LIST", box, state]:
                reply = list_box(steps, box, state, "delta" in caps.split())
            case ["FETCH", box, _, ident]:
                text = f"Subject: {ident}\r\n\r\nThis is {ident}.\r\n"
                known = ident in play(steps)[1].get(box, {})
                reply = [f"* DATA {ident} {len(text)}\n{text}OK" if known else f"* GONE {ident}\nOK"]
            case _:
                reply = ["NO UNSUPPORTED"]
        print(*reply, sep="\n", flush=True)


main()
