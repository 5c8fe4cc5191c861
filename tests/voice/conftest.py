"""What tests of the voice app share."""
