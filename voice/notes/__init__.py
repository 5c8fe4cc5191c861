"""The note of a conversation: written after it by a language model, checked by us, and delivered to CRMs."""
