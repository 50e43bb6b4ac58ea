#!/usr/bin/python3
"""longlist.py FILE: a mailbox INBOX with very many messages.

FILE is read for each LIST of it, a step on each line:

    MSG FROM TO [OPTION...]   messages with these numbers: ids of 48 bytes; each
                              one's subject is its id
    exit [STATUS]             end at once, without a word
    once TEXT...              a step for the first copy alone that comes to it
    any other line            is written as it stands: a final line

The line CAPS WORD... says what the store can do, and STATE S that nothing has
changed since S; they are not in the list.
"""

import sys

WRITE = 10000  # lines at once


def message(number: int) -> str:
    return f"1700000000.M{number:07}P4711_1.mail.example.org,S=1234"


def messages(first: int, last: int, options: str) -> None:
    for start in range(first, last + 1, WRITE):
        numbers = range(start, min(start + WRITE, last + 1))
        sys.stdout.write("".join(f"* MSG {message(number)}{options}\n" for number in numbers))


def steps(path: str) -> list[str]:
    """What is to be done; steps for one copy alone are taken out of the file."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    rest = [line for line in lines if not line.startswith("once ")]
    if rest != lines:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(rest) + "\n")
    return [line.removeprefix("once ") for line in lines]


def list_inbox(path: str, since: str) -> None:
    if said(path, "STATE") == [since]:
        print(f"OK delta state={since}")
        return
    for step in steps(path):
        match step.split():
            case ["MSG", first, last, *options]:
                messages(int(first), int(last), "".join(f" {option}" for option in options))
            case ["exit", *status]:
                sys.stdout.flush()
                sys.exit(int(status[0]) if status else 0)
            case ["CAPS" | "STATE", *_]:
                pass
            case _:
                print(step)


def said(path: str, word: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file.read().splitlines()]
    return next((line[1:] for line in lines if line and line[0] == word), [])


def fetch(ids: list[str]) -> None:
    for ident in ids:
        text = f"Subject: {ident}\n\nThis is {ident}.\n"
        sys.stdout.write(f"* DATA {ident} {len(text)}\n{text}")


def main() -> None:
    path = sys.argv[1]
    for line in sys.stdin:
        match line.split():
            case ["CAPS", *_]:
                print(" ".join(["* CAPS 1", *(said(path, "CAPS") or ["batch=100"])]))
            case ["LIST"]:
                print("* BOX INBOX\nOK full", flush=True)
                continue
            case ["LIST", "INBOX", state]:
                list_inbox(path, state)
                sys.stdout.flush()
                continue
            case ["FETCH", "INBOX", _, *ids]:
                fetch(ids)
            case _:
                print("NO UNSUPPORTED", flush=True)
                continue
        print("OK", flush=True)


main()
