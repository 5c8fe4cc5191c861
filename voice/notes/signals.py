"""What notes tell the parts of voice that they do not know."""

from django.dispatch import Signal

# note_id: UUID. Sent once, inside the transaction that makes the note ready, so that a receiver can write what must not
# be lost in the same transaction. Receivers write rows and do nothing else.
note_ready = Signal()
