//! The link over an in-memory pipe.
