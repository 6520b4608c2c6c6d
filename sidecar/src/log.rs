//! Logs to stdout and to a rotating file.
