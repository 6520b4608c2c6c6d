//! What this service has taken from others, and what it answered: the reason a repeat has no second effect.
