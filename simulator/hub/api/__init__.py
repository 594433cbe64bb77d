"""What the stand-in answers over HTTP."""
