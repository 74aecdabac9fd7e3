"""Whether everything is as it should be, and what to do where it is not: `cspine-node doctor`.

`examination` asks one specialist after the other: `sense` (the settings), `folders` (state folder, disk), `clock`,
`records` (the journal), `engine` (model and device), `secrets` (certificates, keys, passwords), `network` (peers,
destinations, who is told), `units` (what systemd keeps from the receiver), `listening` (ports, the running node). A
finding says what is, how bad it is, and what to do about it. Nothing is changed: what is written to try a folder is
removed at once.
"""
