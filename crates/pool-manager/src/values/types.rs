//! What a PostgreSQL type is to the encoder and the decoder: its name and how its values are
//! treated. It never talks to the server.

use std::sync::Arc;

use tokio_postgres::types::{Kind, Type};

/// A type of one database.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeInfo {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typname`, for instance `int4`, `_text`, `timestamptz`.
    pub name: Arc<str>,
    /// How its values are treated. A domain has the kind of its base type.
    pub kind: TypeKind,
}

/// The types that are treated differently from text.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeKind {
    /// `bool`.
    Bool,
    /// `int2`.
    Int2,
    /// `int4`.
    Int4,
    /// `int8`.
    Int8,
    /// `oid`, an unsigned 32-bit number.
    Oid,
    /// `float4`.
    Float4,
    /// `float8`.
    Float8,
    /// `numeric`: decoded as text, for it holds more digits than a float.
    Numeric,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `bytea`.
    Bytea,
    /// A type of the string category (`text`, `varchar`, `bpchar`, `name`, `citext`, ...).
    Text,
    /// A true array: a type that is its element's `typarray`. `int2vector` and `oidvector` are
    /// printed in another way and are [`Other`](Self::Other).
    Array {
        /// Type of the elements, of every dimension.
        element: Arc<TypeInfo>,
        /// `typdelim` of the element: a comma, for `box` a semicolon.
        delimiter: u8,
    },
    /// Any other type: exchanged in PostgreSQL's own text.
    Other {
        /// `pg_type.typcategory`; PostgreSQL documentation, "pg_type", table of category codes.
        category: u8,
    },
}

/// `typcategory` of numbers, `money` and the `reg*` types among them.
pub(super) const CATEGORY_NUMERIC: u8 = b'N';
/// `typcategory` of bit strings.
pub(super) const CATEGORY_BIT_STRING: u8 = b'V';
/// `typcategory` of strings.
pub(super) const CATEGORY_STRING: u8 = b'S';
/// `typcategory` of types that belong nowhere else.
const CATEGORY_USER: u8 = b'U';
/// `typcategory` of pseudo-types and of what could not be found.
const CATEGORY_UNKNOWN: u8 = b'X';

impl TypeInfo {
    /// What stands in for a type that cannot be found in the catalogue.
    pub fn unknown(oid: u32) -> Self {
        Self {
            oid,
            name: Arc::from("unknown"),
            kind: TypeKind::Other { category: CATEGORY_UNKNOWN },
        }
    }

    /// A type whose oid is the same in every database, or `None`.
    pub(super) fn builtin(oid: u32) -> Option<Self> {
        let ty = Type::from_oid(oid)?;
        Some(Self { oid, name: Arc::from(ty.name()), kind: builtin_kind(&ty) })
    }

    /// The format that columns of this type are asked for in: binary where the text form costs
    /// more or says less, text everywhere else.
    pub(super) fn result_format(&self) -> Format {
        match self.kind {
            TypeKind::Bool | TypeKind::Float4 | TypeKind::Float8 | TypeKind::Bytea => {
                Format::Binary
            }
            _ => Format::Text,
        }
    }
}

fn builtin_kind(ty: &Type) -> TypeKind {
    if let Kind::Array(element) = ty.kind()
        && *ty != Type::INT2_VECTOR
        && *ty != Type::OID_VECTOR
    {
        let kind = builtin_kind(element);
        let element =
            Arc::new(TypeInfo { oid: element.oid(), name: Arc::from(element.name()), kind });
        let delimiter = if *ty == Type::BOX_ARRAY { b';' } else { b',' };
        return TypeKind::Array { element, delimiter };
    }
    match *ty {
        Type::BOOL => TypeKind::Bool,
        Type::INT2 => TypeKind::Int2,
        Type::INT4 => TypeKind::Int4,
        Type::INT8 => TypeKind::Int8,
        Type::OID => TypeKind::Oid,
        Type::FLOAT4 => TypeKind::Float4,
        Type::FLOAT8 => TypeKind::Float8,
        Type::NUMERIC => TypeKind::Numeric,
        Type::JSON => TypeKind::Json,
        Type::JSONB => TypeKind::Jsonb,
        Type::BYTEA => TypeKind::Bytea,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN => {
            TypeKind::Text
        }
        Type::MONEY => TypeKind::Other { category: CATEGORY_NUMERIC },
        Type::BIT | Type::VARBIT => TypeKind::Other { category: CATEGORY_BIT_STRING },
        _ => TypeKind::Other { category: CATEGORY_USER },
    }
}

/// Format code of a value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Code 0: what the type's output function prints.
    Text,
    /// Code 1, and anything else: the type's own binary form.
    Binary,
}

impl Format {
    pub(super) fn from_code(code: i16) -> Self {
        if code == 0 { Self::Text } else { Self::Binary }
    }

    pub(super) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(oid: u32) -> TypeKind {
        TypeInfo::builtin(oid).unwrap().kind
    }

    #[test]
    fn arrays_know_their_element_and_delimiter() {
        let TypeKind::Array { element, delimiter } = kind(1007) else { panic!("_int4") };
        assert_eq!((&*element.name, &element.kind, delimiter), ("int4", &TypeKind::Int4, b','));
        let TypeKind::Array { element, delimiter } = kind(1020) else { panic!("_box") };
        assert_eq!((&*element.name, delimiter), ("box", b';'));
    }

    #[test]
    fn vectors_are_not_arrays_but_arrays_of_vectors_are() {
        assert_eq!(kind(22), TypeKind::Other { category: CATEGORY_USER });
        assert_eq!(kind(30), TypeKind::Other { category: CATEGORY_USER });
        let TypeKind::Array { element, .. } = kind(1006) else { panic!("_int2vector") };
        assert_eq!(&*element.name, "int2vector");
        assert_eq!(element.kind, TypeKind::Other { category: CATEGORY_USER });
    }
}
