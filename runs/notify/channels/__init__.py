"""The channels of notifications (e-mail and webhook) and their time limits. Network clients are imported on use."""

from __future__ import annotations

# seconds for one message in total, so that a server that sends a byte now and then does not delay a tick for long
TOTAL_TIMEOUT = 15.0
# seconds without an answer
IDLE_TIMEOUT = 10.0
