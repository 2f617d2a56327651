"""The absences of the service, as a worker sees them that claims: what it says of them, and how soon it asks again."""

from __future__ import annotations

import logging

from jobtrack_client.errors import JobtrackError
from jobtrack_client.patience import logger, may_pass, pause_seconds


class Absence:
    """Whether the service is away.

    While it `lasts`, claims should not wait for jobs: the answer to one that waits comes only with a job or at the end
    of the wait, and until then nobody knows that the service is back.
    """

    def __init__(self, longest_pause_seconds: float) -> None:
        self.lasts = False
        self._longest_pause_seconds = longest_pause_seconds
        self._failures = 0

    def pause_after(self, error: JobtrackError) -> float:
        """Return the seconds until the next claim after one that failed, or raise the error if no retry can mend it."""
        if not may_pass(error):
            raise error
        # Once for each absence: a service may be away for the whole night.
        logger.log(logging.DEBUG if self.lasts else logging.WARNING, "%s; trying again", error)
        self.lasts = True
        self._failures += 1
        return pause_seconds(self._failures, self._longest_pause_seconds)

    def ended(self, url: str) -> None:
        """Note that a claim was answered.

        After an absence the pauses are short again only from the second answer on, that of a claim that waits: what is
        in between may answer short claims alone, and would be asked without a pause worth the name.
        """
        if self.lasts:
            logger.info("Jobtrack at %s answers again", url)
        else:
            self._failures = 0
        self.lasts = False
