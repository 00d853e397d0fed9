"""One pass of the scheduler: timers, what is due, slots, starting runs, housekeeping."""
