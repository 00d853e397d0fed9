"""The line in the user's crontab that runs the tick every minute."""
