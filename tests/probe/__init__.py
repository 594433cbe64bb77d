"""What a job can find of the credential, and the program that looks for it."""
