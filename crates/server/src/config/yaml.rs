//! YAML text to a [`Node`] tree: anchors, aliases and merge keys resolved, duplicate keys refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::error::ConfigError;
use super::tree::{Node, Place, Scalar, Value};

/// Most values in one file, those that aliases repeat included.
const MAX_NODES: usize = 100_000;

/// Parses the first document of a YAML text; an empty one is an empty map.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, ConfigError> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        text,
        file: file.into(),
        anchors: HashMap::new(),
        path: Vec::new(),
        nodes: 0,
    };
    let root = loop {
        match builder.next()? {
            (Event::StreamEnd | Event::DocumentEnd, _) => break None,
            (
                event @ (Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)),
                span,
            ) => {
                break Some(builder.node(event, &span)?);
            }
            _ => {}
        }
    };
    let start = Place { file: file.into(), line: None };
    match root {
        None => Ok(Node::map(start)),
        Some(Node { value: Value::Null, .. }) => Ok(Node::map(start)),
        Some(node @ Node { value: Value::Map(_), .. }) => Ok(node),
        Some(_) => Err(ConfigError::file(file, "must hold keys and values, as in pgpool: ...")),
    }
}

struct Builder<'input> {
    parser: Parser<'input, StrInput<'input>>,
    text: &'input str,
    file: Arc<str>,
    anchors: HashMap<usize, Node>,
    /// Keys from the root to where the builder stands.
    path: Vec<String>,
    nodes: usize,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), ConfigError> {
        loop {
            return match self.parser.next_event() {
                None => Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => continue,
                Some(Ok(event)) => Ok(event),
                Some(Err(error)) => Err(self.syntax(&error)),
            };
        }
    }

    fn syntax(&self, error: &ScanError) -> ConfigError {
        let number = error.marker().line();
        let line = self.text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
        let remedy = remedy(&error.info(), line);
        let reason = format!("this is not valid YAML: {}{remedy}", error.info());
        ConfigError::key(&self.place_at(number), "", reason)
    }

    fn place_at(&self, line: usize) -> Place {
        Place { file: Arc::clone(&self.file), line: u32::try_from(line).ok().filter(|l| *l > 0) }
    }

    fn place(&self, span: &Span) -> Place {
        self.place_at(span.start.line())
    }

    fn error(&self, span: &Span, reason: impl Into<String>) -> ConfigError {
        ConfigError::key(&self.place(span), self.path.join("."), reason)
    }

    fn node(&mut self, event: Event<'input>, span: &Span) -> Result<Node, ConfigError> {
        self.count(1, span)?;
        let place = self.place(span);
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(text.into_owned(), style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.entries()?, anchor),
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node = node.ok_or_else(|| self.error(span, "an alias refers to itself"))?;
                self.count(size(&node), span)?;
                return Ok(node);
            }
            _ => return Err(self.error(span, "a value is missing")),
        };
        let node = Node { value, place };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), ConfigError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.error(span, format!("the file has more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Value, ConfigError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Value, ConfigError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut seen = HashSet::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_span) = self.next()?;
            let (key, plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(key, style, ..) => (key.into_owned(), style == ScalarStyle::Plain),
                _ => return Err(self.error(&key_span, "a key must be plain text")),
            };
            self.path.push(key.to_lowercase());
            if !seen.insert(self.identity(&key)) {
                return Err(self.error(
                    &key_span,
                    "this key stands here twice; keys do not \
                                                  differ by upper and lower case",
                ));
            }
            let (event, span) = self.next()?;
            let mut node = self.node(event, &span)?;
            if plain && key == "<<" {
                merged.push((node, key_span));
            } else {
                node.place = self.place(&key_span);
                entries.push((key.to_lowercase(), node));
            }
            self.path.pop();
        }
        for (node, span) in merged {
            self.merge(&mut entries, node, &span)?;
        }
        Ok(Value::Map(entries))
    }

    /// What makes a key the same key: its case matters only in other plugins' sections, where
    /// header names and the like stand.
    fn identity(&self, key: &str) -> String {
        let ours = self.path.len() == 1 || self.path.first().is_some_and(|top| top == "pgpool");
        if ours { key.to_lowercase() } else { key.to_owned() }
    }

    /// Adds the entries of a merge key (`<<`) that are not written out.
    fn merge(
        &self,
        entries: &mut Vec<(String, Node)>,
        node: Node,
        span: &Span,
    ) -> Result<(), ConfigError> {
        match node.value {
            Value::Map(others) => {
                for (key, node) in others {
                    if entries.iter().all(|(name, _)| *name != key) {
                        entries.push((key, node));
                    }
                }
                Ok(())
            }
            Value::List(nodes) => {
                nodes.into_iter().try_for_each(|node| self.merge(entries, node, span))
            }
            _ => Err(self.error(span, "<< takes a section or a list of sections")),
        }
    }
}

/// What would probably help where `line` is no YAML, with its leading punctuation; may be empty.
fn remedy(problem: &str, line: &str) -> &'static str {
    let value = match line.split_once(": ") {
        Some((_, value)) => value.trim_start(),
        None => line.trim_start().strip_prefix("- ").unwrap_or_default().trim_start(),
    };
    if problem.contains("tabs ") || problem.ends_with("a tab") {
        "; indent with spaces, not with tabs"
    } else if problem.contains("expected ':'") {
        "; a key is followed by a colon, as in key: value"
    } else if value.starts_with(|c| "@`%&*!|>?-,[]{}".contains(c)) || value.contains(": ") {
        "; a text with special characters needs quotes"
    } else if problem.contains("mapping values are not allowed") {
        "; a colon or the space after it may be missing in the line above, or the indentation may \
         be wrong"
    } else {
        ""
    }
}

/// How many values a node holds, itself included.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let plain = style == ScalarStyle::Plain && tag.is_none();
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar(Scalar { plain, ..Scalar::quoted(text) })
}
