//! A configuration as a tree of texts: keys in lower case, in order, each with its place.
//!
//! Scalars stay text, so that a numeric password keeps its zeros. Nothing here implements
//! `Debug`: trees hold secrets.

use std::fmt;
use std::sync::Arc;

use super::env::{Environment, Missing};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: Option<u32>,
}

impl Place {
    /// What errors about overrides name in place of a file.
    pub(crate) fn overrides() -> Self {
        Self { file: "-o".into(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A value with its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    /// Nothing, which counts as not set.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    /// Keys are unique and in lower case.
    Map(Vec<(String, Node)>),
}

/// A text, number or boolean.
#[derive(Clone)]
pub(crate) struct Scalar {
    /// The text, after expansion.
    pub(crate) text: String,
    /// Written without quotes, so that `true` is a boolean and `5` a number.
    pub(crate) plain: bool,
    /// The text before expansion, when that changed it.
    pub(crate) written: Option<String>,
    /// Variables that the text refers to and that gave it nothing.
    pub(crate) missing: Vec<Missing>,
}

impl Node {
    pub(crate) fn map(place: Place) -> Self {
        Self { value: Value::Map(Vec::new()), place }
    }

    /// The value under a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// Lays `other` over this node: maps are joined key by key, all else is replaced.
    pub(crate) fn merge(&mut self, other: Node) {
        match (&mut self.value, other.value) {
            (Value::Map(entries), Value::Map(others)) => {
                for (key, node) in others {
                    match entries.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, existing)) => existing.merge(node),
                        None => entries.push((key, node)),
                    }
                }
            }
            (_, Value::Null) => {}
            (_, value) => *self = Self { value, place: other.place },
        }
    }

    /// Expands environment references in every text below, inside lists and maps alike.
    pub(crate) fn expand(&mut self, env: &Environment<'_>) {
        match &mut self.value {
            Value::Null => {}
            Value::Scalar(scalar) => scalar.expand(env),
            Value::List(items) => items.iter_mut().for_each(|item| item.expand(env)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.expand(env)),
        }
    }

    /// The place of a key such as `backends.replicas[0].dsn`, or of what comes nearest above it.
    pub(crate) fn place_of(&self, key: &str) -> &Place {
        let mut node = self;
        for segment in segments(key) {
            match node.child(segment) {
                Some(next) => node = next,
                None => break,
            }
        }
        &node.place
    }

    /// The scalar at such a key.
    pub(crate) fn scalar_at(&self, key: &str) -> Option<&Scalar> {
        match segments(key).try_fold(self, Node::child).map(|node| &node.value) {
            Some(Value::Scalar(scalar)) => Some(scalar),
            _ => None,
        }
    }

    /// The value under a key of a map, or under an index (`0]`) of a list.
    fn child(&self, segment: &str) -> Option<&Node> {
        match &self.value {
            Value::List(items) => items.get(segment.trim_end_matches(']').parse::<usize>().ok()?),
            _ => self.get(segment),
        }
    }

    /// Calls `visit` with the path of every text, below `path`.
    pub(crate) fn each_scalar(&self, path: &str, visit: &mut dyn FnMut(&str, &Place, &Scalar)) {
        match &self.value {
            Value::Null => {}
            Value::Scalar(scalar) => visit(path, &self.place, scalar),
            Value::List(items) => {
                for (index, node) in items.iter().enumerate() {
                    node.each_scalar(&format!("{path}[{index}]"), visit);
                }
            }
            Value::Map(entries) => {
                for (key, node) in entries {
                    node.each_scalar(&format!("{path}.{key}"), visit);
                }
            }
        }
    }

    /// Calls `visit` with the path of every value that is set, below `path`.
    pub(crate) fn each_leaf(&self, path: &str, visit: &mut dyn FnMut(&str, &Place)) {
        match &self.value {
            Value::Null => {}
            Value::Map(entries) if !entries.is_empty() => {
                for (key, node) in entries {
                    node.each_leaf(&format!("{path}.{key}"), visit);
                }
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                for (index, node) in items.iter().enumerate() {
                    node.each_leaf(&format!("{path}[{index}]"), visit);
                }
            }
            _ => visit(path, &self.place),
        }
    }
}

/// The keys and indexes of a path.
fn segments(key: &str) -> impl Iterator<Item = &str> {
    key.split(['.', '[']).filter(|segment| !segment.is_empty())
}

impl Scalar {
    pub(crate) fn quoted(text: impl Into<String>) -> Self {
        Self { text: text.into(), plain: false, written: None, missing: Vec::new() }
    }

    fn expand(&mut self, env: &Environment<'_>) {
        if let Some(expanded) = env.expand(&self.text) {
            // What the environment says is text, whatever it looks like.
            self.plain = false;
            self.missing = env.missing(&self.text);
            self.written = Some(std::mem::replace(&mut self.text, expanded));
        }
    }
}
