"""One conversation, from the redeemed ticket to the settled receipt. Start reading at runner.py."""
