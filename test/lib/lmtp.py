#!/usr/bin/python3
"""lmtp.py PORT RECIPIENT...: deliver one message to all in one LMTP session, and
print each recipient with the server's answer."""

import smtplib
import sys

MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: delivered\r\n\r\nbody\r\n"


def main() -> None:
    port, *recipients = sys.argv[1:]
    with smtplib.LMTP("127.0.0.1", int(port), local_hostname="localhost") as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        lmtp.mail("a@example.org")
        accepted = []
        for recipient in recipients:
            code, text = lmtp.rcpt(recipient)
            if code == 250:
                accepted.append(recipient)
            else:
                print(recipient, code, text.decode())
        lmtp.putcmd("DATA")
        lmtp.getreply()
        lmtp.send(MESSAGE + b".\r\n")
        for recipient in accepted:  # LMTP: an answer for each
            code, text = lmtp.getreply()
            print(recipient, code, text.decode())


main()
