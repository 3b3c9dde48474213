//! Arguments and cells, to and from JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::generated::{self as messages, value::Kind};

impl From<messages::Value> for Value {
    fn from(value: messages::Value) -> Self {
        match value.kind {
            None | Some(Kind::Null(_)) => Self::Null,
            Some(Kind::Bool(truth)) => truth.into(),
            Some(Kind::Int(int)) => int.into(),
            // PostgreSQL reads these names, which Rust has, too: NaN, inf, -inf.
            Some(Kind::Float(float)) if !float.is_finite() => float.to_string().into(),
            Some(Kind::Float(float)) => float.into(),
            Some(Kind::Text(text)) => text.into(),
            Some(Kind::Binary(bytes)) => {
                Self::Object(Map::from_iter([("$bytea".to_owned(), STANDARD.encode(bytes).into())]))
            }
            Some(Kind::List(list)) => Self::Array(list.items.into_iter().map(Self::from).collect()),
            Some(Kind::Document(document)) => Self::Object(
                document.fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ),
        }
    }
}

impl From<Value> for messages::Value {
    fn from(value: Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null(true),
            Value::Bool(truth) => Kind::Bool(truth),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Kind::Int(int),
                (None, Some(float)) if number.is_f64() => Kind::Float(float),
                _ => Kind::Text(number.to_string()),
            },
            Value::String(text) => Kind::Text(text),
            Value::Array(items) => {
                Kind::List(messages::List { items: items.into_iter().map(Self::from).collect() })
            }
            Value::Object(fields) => Kind::Document(messages::Document {
                fields: fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
            }),
        };
        Self { kind: Some(kind) }
    }
}
