"""Jobs that run by the clock for years: what is due is on record before it starts, and what came of it after it ends.

``jobfile`` reads which jobs there are, ``cron`` says when each is due, ``book`` keeps what was due and what came of it,
``runner`` runs them as processes, ``scheduler`` waits for the time, and ``service`` is all of it together.
"""
