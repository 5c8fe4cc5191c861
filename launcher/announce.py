"""Tells the guardian its own process number, then becomes the command: so no child can exist that the guardian missed.

Started as: python announce.py PIPE COMMAND ...
"""

import os
import sys


def main() -> None:
    pipe, command = int(sys.argv[1]), sys.argv[2:]
    os.write(pipe, b"+%d\n" % os.getpid())
    os.close(pipe)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} could not be started: {error.strerror}")


if __name__ == "__main__":
    main()
