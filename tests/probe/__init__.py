"""The program that looks for credentials, and what it finds as a job."""
