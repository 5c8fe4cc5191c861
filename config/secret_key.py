"""A secret key for one machine: made at the first start, kept in the data folder, readable by its owner alone."""

import os
import secrets
from pathlib import Path


def secret_key_in(folder: Path) -> str:
    """Return the key kept in `folder`, making it first if need be; safe when several processes start at once."""
    path = folder / "secret_key"
    draft = folder / f".secret_key.{os.getpid()}"
    if not path.exists():
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # fails when another process was first, and its key then counts
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(draft, path)
        draft.unlink(missing_ok=True)
    return path.read_text(encoding="ascii")
