"""The command `deel-seg`: apart from the library, whose import takes seconds, for help is fast."""
