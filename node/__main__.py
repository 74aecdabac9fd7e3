"""`python -m node` is `cspine-node`."""

from node.cli import main

if __name__ == "__main__":
    main()
