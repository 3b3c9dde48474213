//! Request types whose fields are matched leniently by name and strictly as a set.
//!
//! PHP sends `tx_id`, Go's MessagePack sends `TxID`: names match without regard to ASCII case and
//! underscores. A name that matches nothing is refused, because a misspelt `tx_id` that was
//! ignored would run a statement outside its transaction. What the fields mean is not known here.

mod entries;
mod names;
mod visitor;

pub use entries::Entries;
pub use visitor::deserialize;

use serde::de::MapAccess;

/// A request type made by [`request_fields!`](crate::request_fields): a struct of optional fields.
pub trait RequestFields: Default {
    /// The fields' names in snake_case, in the order of their declaration; 64 at most.
    const NAMES: &'static [&'static str];

    /// Reads the value of the field at `index` in [`RequestFields::NAMES`]; null leaves it `None`.
    ///
    /// # Errors
    /// What the field's type says about the value.
    fn read_field<'de, A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Declares a request type and how it is decoded.
///
/// Every field is an `Option`; null and absence are both `None`. The struct derives `Default` and
/// implements [`RequestFields`](crate::fields::RequestFields) and `serde::Deserialize`; attributes
/// and docs are passed through. `Debug` is left out on purpose, since fields may hold secrets.
///
/// Decoding accepts a map, an empty list (PHP's empty map) and null. It refuses an unknown field,
/// naming the known ones, and a field given twice, in whatever spelling. Keys may be strings or
/// bytes; a nil key, which PHP's MessagePack adds to objects, is skipped with its value.
///
/// ```
/// goridge_framing::request_fields! {
///     /// Ends a transaction.
///     pub struct CommitRequest {
///         /// Which one.
///         pub tx_id: Option<String>,
///     }
/// }
///
/// let codec = goridge_framing::Codec::Json;
/// let request: CommitRequest = codec.decode(br#"{"TxID": "a"}"#).unwrap();
/// assert_eq!(request.tx_id.as_deref(), Some("a"));
/// assert!(codec.decode::<CommitRequest>(br#"{"txidd": "a"}"#).is_err());
/// ```
#[macro_export]
macro_rules! request_fields {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$field_attribute:meta])*
                $field_visibility:vis $field:ident : Option<$type:ty>
            ),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Default)]
        $visibility struct $name {
            $(
                $(#[$field_attribute])*
                $field_visibility $field: ::core::option::Option<$type>,
            )*
        }

        impl $crate::fields::RequestFields for $name {
            const NAMES: &'static [&'static str] = {
                let names: &'static [&'static str] = &[$(stringify!($field)),*];
                assert!(names.len() <= 64, "a request type has at most 64 fields");
                names
            };

            #[allow(unused_variables)]
            fn read_field<'de, A: $crate::__private::serde::de::MapAccess<'de>>(
                &mut self,
                index: usize,
                map: &mut A,
            ) -> ::core::result::Result<(), A::Error> {
                #[allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms)]
                enum Field { $($field),* }
                match index {
                    $(at if at == Field::$field as usize => {
                        self.$field = map.next_value()?;
                    })*
                    _ => {}
                }
                ::core::result::Result::Ok(())
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::fields::deserialize(deserializer)
            }
        }
    };
}

#[cfg(test)]
mod tests;
