"""One execution of a module: the engine, the process around it, its records and notifications."""
