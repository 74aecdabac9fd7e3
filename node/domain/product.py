"""How the node names itself in the objects that it makes (PS3.3 C.7.5.1, C.7.5.2)."""

MANUFACTURER = "cspine-node project"
MODEL_NAME = "cspine-node"
