//! `-o key.path=value`: settings given on the command line, laid over those of the file.

use super::env::Environment;
use super::error::ConfigError;
use super::tree::{Node, Place, Scalar, Value};

/// An override, taken apart.
pub(crate) struct Override {
    /// Keys from the root, in lower case; the first is `pgpool`.
    pub(crate) path: Vec<String>,
    /// The value as written, without its quotes.
    pub(crate) value: String,
}

impl Override {
    /// Reads `key.path=value`; quotes around the value are dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |reason: &str| ConfigError::file("-o", reason);
        let text = text.trim_start_matches([' ', '"', '\'', '`']);
        let Some((key, value)) = text.split_once('=') else {
            return Err(wrong("an override is written -o key=value, as in -o pgpool.threads=2"));
        };
        let key = key.trim().to_lowercase();
        // A key with other characters may be a piece of a DSN: it is not repeated.
        let in_a_key =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '[' | ']');
        if key.is_empty() || !key.chars().all(in_a_key) {
            return Err(wrong(
                "the key of an override must be a path such as pgpool.backends.primary.dsn",
            ));
        }
        let path: Vec<String> =
            key.replace('[', ".").replace(']', "").split('.').map(str::to_owned).collect();
        let error = |reason: &str| ConfigError::key(&Place::overrides(), &key, reason);
        if path.iter().any(String::is_empty) {
            return Err(error("a part of the path is empty"));
        }
        if path.first().is_none_or(|first| first != "pgpool") || path.len() < 2 {
            return Err(error("overrides must start with pgpool., as in pgpool.threads"));
        }
        let value = unquote(value.trim());
        if value.is_empty() {
            return Err(error("the value is empty"));
        }
        Ok(Self { path, value })
    }

    /// Sets the value in the tree of the whole file.
    pub(crate) fn apply(&self, root: &mut Node, env: &Environment<'_>) -> Result<(), ConfigError> {
        let mut scalar = Node {
            value: Value::Scalar(Scalar::quoted(self.value.clone())),
            place: Place::overrides(),
        };
        scalar.expand(env);
        let mut node = root;
        for (depth, segment) in self.path.iter().enumerate() {
            node = child(node, segment).ok_or_else(|| {
                let parent = self.path.get(..depth).unwrap_or_default().join(".");
                let key = self.path.join(".");
                let reason = format!("{parent} is not a section that holds {segment}");
                ConfigError::key(&Place::overrides(), key, reason)
            })?;
        }
        *node = scalar;
        Ok(())
    }
}

/// The node under a key or list index, made when a map lacks it.
fn child<'n>(node: &'n mut Node, segment: &str) -> Option<&'n mut Node> {
    if matches!(node.value, Value::Null) {
        node.value = Value::Map(Vec::new());
    }
    match &mut node.value {
        Value::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        Value::Map(entries) => {
            let found = entries.iter().position(|(name, _)| name == segment);
            let index = found.unwrap_or_else(|| {
                let place = Place::overrides();
                entries.push((segment.to_owned(), Node { value: Value::Null, place }));
                entries.len() - 1
            });
            entries.get_mut(index).map(|(_, node)| node)
        }
        Value::Null | Value::Scalar(_) => None,
    }
}

/// Drops quotes around a value, and backslashes before quotes inside it.
fn unquote(value: &str) -> String {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
        return value.to_owned();
    };
    value.trim_matches(quote).replace(&format!("\\{quote}"), &quote.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_value_are_taken_apart() {
        for (text, path, value) in [
            ("pgpool.threads=2", "pgpool.threads", "2"),
            (
                "PGPOOL.Backends.primary.DSN=postgres://u@h/d?a=b",
                "pgpool.backends.primary.dsn",
                "postgres://u@h/d?a=b",
            ),
            ("pgpool.a='b c'", "pgpool.a", "b c"),
            ("pgpool.a=\"x\\\"y\"", "pgpool.a", "x\"y"),
            (" pgpool.a = b ", "pgpool.a", "b"),
            ("pgpool.backends.replicas[1].dsn=x", "pgpool.backends.replicas.1.dsn", "x"),
        ] {
            let parsed = Override::parse(text).unwrap();
            assert_eq!(parsed.path.join("."), path);
            assert_eq!(parsed.value, value);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for text in [
            "hunter2",
            "=hunter2",
            "postgres://u:hunter2@h/d?sslmode=require",
            "pgpool=hunter2",
            "pgpool..a=hunter2",
            "http.address=hunter2",
            "pgpool.a=''",
        ] {
            let error = Override::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("-o: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
