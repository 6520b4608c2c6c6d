//! What `template` does with the replies to what it asked: a success and a failure handler for each target.
