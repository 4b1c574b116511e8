"""`python -m rnnprobe`."""

from rnnprobe.cli import main

if __name__ == "__main__":
    main()
