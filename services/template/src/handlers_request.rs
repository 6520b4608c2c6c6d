//! The reply handlers of `template`: one for success and one for failure for each target.
