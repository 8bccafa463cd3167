"""`balora`, and `python -m balora`: the command line, which a signal ends from its first moment on."""

import sys

from balora.interruption import stop_on_signals


def main() -> int:
    """Run the command that `sys.argv` holds, and give its exit code."""
    stop_on_signals()
    from balora.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
