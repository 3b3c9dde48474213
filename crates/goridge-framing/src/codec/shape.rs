//! What a document is made of, for codecs that have to know it before they write: Go's types.

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A truth value.
    Bool,
    /// A signed integer.
    Int,
    /// A string.
    Text,
    /// Null, a truth value, a number or a string; lists and maps travel as their JSON text.
    Any,
    /// A list.
    List(&'static Shape),
    /// A map from strings.
    Map(&'static Shape),
    /// A list of rows, each a map or a list of anything, as the first one is.
    Rows,
    /// A struct.
    Struct(&'static StructShape),
}

/// A struct, and how it is called.
#[derive(Debug, PartialEq, Eq)]
pub struct StructShape {
    /// Its name as a type.
    pub name: &'static str,
    /// Its fields, in order; what a document has besides them is left out.
    pub fields: &'static [Field],
}

/// One field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in documents.
    pub name: &'static str,
    /// Its name in Go.
    pub go_name: &'static str,
    /// What it holds.
    pub shape: Shape,
}
