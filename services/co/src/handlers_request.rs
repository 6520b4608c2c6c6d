//! What `co` does with the replies to what it has asked: it asks nobody.
