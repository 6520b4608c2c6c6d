//! The reply handlers of `co`: none, since it asks nobody.
