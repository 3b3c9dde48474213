//! What is said about references to environment variables that are not set.
//!
//! Names variables and keys, never a value.

use std::fmt;

use pool_manager::config::SettingError;

use super::env::Missing;
use super::tree::{Node, Place, Scalar};

/// A key whose value refers to a variable that is not set, without a default.
pub(crate) struct UnsetReference {
    place: Place,
    key: String,
    variable: String,
}

/// `FILE:LINE: KEY: VARIABLE is not set, so it is empty`
impl fmt::Display for UnsetReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, variable } = self;
        write!(f, "{place}: {key}: {variable} is not set, so it is empty")
    }
}

/// Every such reference in the section, in the file's order. A variable that is set to an empty
/// text is meant to be empty.
pub(crate) fn references(section: &Node) -> Vec<UnsetReference> {
    let mut found = Vec::new();
    section.each_scalar("pgpool", &mut |key, place, scalar| {
        for missing in scalar.missing.iter().filter(|missing| !missing.is_set) {
            found.push(UnsetReference {
                place: place.clone(),
                key: key.to_owned(),
                variable: missing.name.clone(),
            });
        }
    });
    found
}

/// Adds to a wrong setting that a variable in its value is missing, which is the likely cause.
pub(crate) fn explain(section: &Node, error: SettingError) -> SettingError {
    let mut key = error.key.clone();
    if let Some(backend) = key.strip_suffix("dsn")
        && section.scalar_at(&key).is_none()
    {
        // Without address the key to give is dsn; here it was host that should have named one.
        key = format!("{backend}host");
    }
    let Some(scalar) = section.scalar_at(&key).filter(|scalar| !scalar.missing.is_empty()) else {
        return error;
    };
    let variables = listed(scalar);
    if scalar.text.is_empty() {
        return SettingError::new(key, format!("is empty because {variables}"));
    }
    SettingError { reason: format!("{} ({variables})", error.reason), ..error }
}

/// `${A} is not set, ${B} is empty`
fn listed(scalar: &Scalar) -> String {
    scalar.missing.iter().map(Missing::to_string).collect::<Vec<_>>().join(", ")
}
