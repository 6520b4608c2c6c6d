//! Health, metrics and version over HTTP.
