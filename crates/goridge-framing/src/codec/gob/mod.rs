//! Go's gob, as `encoding/gob` describes it: a body is one value, preceded by the definitions of its
//! types. Read into, and written from, JSON values: it serves Go programs with few calls, not the
//! workers.

mod read;
mod write;

pub(super) use read::to_json;
pub(super) use write::from_json;

/// Identities of the types that every program knows.
mod builtin {
    pub(super) const BOOL: i64 = 1;
    pub(super) const INT: i64 = 2;
    pub(super) const UINT: i64 = 3;
    pub(super) const FLOAT: i64 = 4;
    pub(super) const BYTES: i64 = 5;
    pub(super) const STRING: i64 = 6;
    pub(super) const INTERFACE: i64 = 8;
    /// The first one that programs define themselves.
    pub(super) const FIRST_OWN: i64 = 65;
}

#[cfg(test)]
mod tests;
