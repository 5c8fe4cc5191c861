"""May this call start? Everything that stands between a press on Talk and a ticket. Start reading at admit.py."""
