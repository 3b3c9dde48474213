//! Values between callers and PostgreSQL: arguments become parameters in text format, DataRows
//! become serde output straight from their wire bytes.
//!
//! * [`TypeCatalogue`] knows the types of a database, [`Columns`] a result's description.
//! * [`encode_param`] writes one parameter of a Bind message.
//! * [`Row`] serialises one DataRow.
//!
//! Nothing here talks to the server, and nothing here keeps a value.

mod arg;
mod arg_read;
mod array;
mod catalogue;
mod columns;
mod decode;
mod hex;
mod json;
mod message;
mod number;
mod param;
mod row;
#[cfg(test)]
mod testing;
mod types;

pub use arg::Arg;
pub use arg_read::{Args, MAX_ARG_DEPTH, MAX_ARG_VALUES};
pub use catalogue::{LOOKUP_SQL, TypeCatalogue};
pub use columns::{Column, Columns};
pub use message::MalformedMessage;
pub use param::{ArgError, Encoded, encode_param};
pub use row::{Row, RowShape, RowStyle, ValueStyle};
pub use types::{TypeInfo, TypeKind};
