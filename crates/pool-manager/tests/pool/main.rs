//! The pool as its callers see it, against a real PostgreSQL. Every trap that the design names is
//! a test of its own here.

mod common;
mod cancel;
mod drops;
mod idle;
mod queue;
mod statements;
