"""The web page: what the node does, for an administrator and a radiologist. It reads the journal, and asks the running
node (`node.control`) for whatever changes something.
"""
