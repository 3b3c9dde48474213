//! Arguments of a statement as callers send them. It never looks at PostgreSQL's types: see
//! [`encode_param`](super::encode_param) for what becomes of each.

use std::fmt;

use super::number::widen;

/// One argument of a statement.
///
/// Deserialises from JSON and MessagePack: a map with the single key `$bytea` holds base64 and
/// becomes [`Binary`](Self::Binary) (outside of maps: there it is a document's own key), a
/// MessagePack string that is not UTF-8 becomes `Binary` too, a nil key (ext-msgpack writes an
/// object's class there) is left out, numbers as keys become text.
///
/// `Debug` shows no value.
#[derive(Clone, PartialEq)]
pub enum Arg {
    /// NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer; only those above `i64::MAX` are read as this.
    UInt(u64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A list: an array, or a JSON list.
    List(Vec<Arg>),
    /// A map: a JSON object. Keys in the order they came in.
    Map(Vec<(String, Arg)>),
}

impl Arg {
    /// The value itself as `{:?}` shows it, unlike the argument's own `Debug`: for logs whose
    /// owner has asked for values.
    pub fn shown(&self) -> impl fmt::Debug + '_ {
        struct Shown<'a>(&'a Arg);
        impl fmt::Debug for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    Arg::Null => f.write_str("null"),
                    Arg::Bool(value) => write!(f, "{value}"),
                    Arg::Int(value) => write!(f, "{value}"),
                    Arg::UInt(value) => write!(f, "{value}"),
                    Arg::Float(value) => write!(f, "{value}"),
                    Arg::Text(value) => write!(f, "{value:?}"),
                    Arg::Binary(value) => write!(f, "<{} bytes>", value.len()),
                    Arg::List(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
                    Arg::Map(entries) => f
                        .debug_map()
                        .entries(entries.iter().map(|(key, value)| (key, Shown(value))))
                        .finish(),
                }
            }
        }
        Shown(self)
    }

    /// What it is, with its article, as error messages say it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::UInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::Binary(_) => "binary data",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "a string of {} bytes", text.len()),
            Self::Binary(bytes) => write!(f, "{} bytes of binary data", bytes.len()),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Map(entries) => write!(f, "a map of {}", entries.len()),
            other => f.write_str(other.kind()),
        }
    }
}

macro_rules! arg_from {
    ($($from:ty => |$value:ident| $arg:expr;)*) => {$(
        impl From<$from> for Arg {
            fn from($value: $from) -> Self {
                $arg
            }
        }
    )*};
}

arg_from! {
    bool => |v| Self::Bool(v);
    i16 => |v| Self::Int(v.into());
    i32 => |v| Self::Int(v.into());
    i64 => |v| Self::Int(v);
    u32 => |v| Self::Int(v.into());
    u64 => |v| i64::try_from(v).map_or(Self::UInt(v), Self::Int);
    f32 => |v| Self::Float(widen(v));
    f64 => |v| Self::Float(v);
    &str => |v| Self::Text(v.to_owned());
    String => |v| Self::Text(v);
    &[u8] => |v| Self::Binary(v.to_vec());
    Vec<u8> => |v| Self::Binary(v);
    Vec<Arg> => |v| Self::List(v);
}

impl<T: Into<Arg>> From<Option<T>> for Arg {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
