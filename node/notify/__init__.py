"""Who is told when something fails, is quarantined or works again: by a signed webhook or by e-mail.

`standing` turns events of the journal into notices, `notifier` groups them, sends them and remembers how far it has
told; `message` is what is said, `webhook` and `mail` are the ways. A notice is told at least once: how far has been
told is on the disk only after the other side took it. No notice has a name, an identifier or a UID: it names the case
by its number.
"""
