"""The files of deploy/, each run by the engine that it is written for."""
