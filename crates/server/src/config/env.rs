//! The environment that references in the configuration see, and their expansion.
//!
//! `$VAR`, `${VAR}` and `${VAR:-default}`; an empty variable counts as unset, an unset one without
//! default is empty. A `$` that starts none of these is kept, so that it may stand in a password.

use std::collections::HashMap;
use std::fmt;

/// Deepest nesting of defaults: `${A:-${B:-…}}`.
const MAX_NESTING: usize = 16;

/// The process environment with `.env` files below it.
pub(crate) struct Environment<'a> {
    process: &'a dyn Fn(&str) -> Option<String>,
    files: Vec<HashMap<String, String>>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(process: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { process, files: Vec::new() }
    }

    /// Adds the variables of a file; those known already keep their value.
    pub(crate) fn add_file(&mut self, variables: HashMap<String, String>) {
        self.files.push(variables);
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.process)(name)
            .or_else(|| self.files.iter().find_map(|file| file.get(name).cloned()));
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable is set, be it to an empty text.
    fn is_set(&self, name: &str) -> bool {
        (self.process)(name).is_some() || self.files.iter().any(|file| file.contains_key(name))
    }

    /// The text with its references replaced; `None` when it has none.
    pub(crate) fn expand(&self, text: &str) -> Option<String> {
        expand(text, &|name| self.get(name))
    }

    /// The variables whose references in a text come to nothing: not set or empty, and without
    /// default.
    pub(crate) fn missing(&self, text: &str) -> Vec<Missing> {
        let mut missing: Vec<Missing> = Vec::new();
        let mut note = |name: &str| {
            if missing.iter().all(|known| known.name != name) {
                missing.push(Missing { name: name.to_owned(), is_set: self.is_set(name) });
            }
        };
        expand_nested(text, &|name| self.get(name), &mut note, 0);
        missing
    }
}

/// A variable without a value to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) name: String,
    /// Set, but to an empty text, which may be meant.
    pub(crate) is_set: bool,
}

/// `${NAME} is not set`
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set { "empty" } else { "not set" };
        write!(f, "${{{}}} is {state}", self.name)
    }
}

/// Begins a SCRAM verifier, whose dollars part its fields and refer to nothing.
const VERIFIER: &str = "SCRAM-SHA-256$";

/// Replaces references by what `get` answers; `None` when there are none.
pub(crate) fn expand(text: &str, get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    expand_nested(text, get, &mut |_| {}, 0)
}

/// As [`expand`]; `missing` is told the references that have neither value nor default.
fn expand_nested(
    text: &str,
    get: &dyn Fn(&str) -> Option<String>,
    missing: &mut dyn FnMut(&str),
    depth: usize,
) -> Option<String> {
    if depth == 0 && text.starts_with(VERIFIER) {
        return None;
    }
    let mut expanded = String::new();
    let mut changed = false;
    let mut rest = text;
    while let Some((before, from_dollar)) = rest.find('$').map(|at| rest.split_at(at)) {
        expanded.push_str(before);
        match reference(from_dollar) {
            Some(found) => {
                changed = true;
                match (get(found.name), found.default) {
                    (Some(value), _) => expanded.push_str(&value),
                    (None, Some(default)) => {
                        let nested = (depth < MAX_NESTING)
                            .then(|| expand_nested(default, get, missing, depth + 1))
                            .flatten();
                        expanded.push_str(nested.as_deref().unwrap_or(default));
                    }
                    (None, None) => missing(found.name),
                }
                rest = found.after;
            }
            // Of two dollars the second starts no reference either, as in RoadRunner.
            None => {
                let kept = if from_dollar.starts_with("$$") { 2 } else { 1 };
                let (dollars, after) = from_dollar.split_at(kept);
                expanded.push_str(dollars);
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    changed.then_some(expanded)
}

/// A reference at the start of a text.
struct Reference<'t> {
    name: &'t str,
    default: Option<&'t str>,
    after: &'t str,
}

fn reference(text: &str) -> Option<Reference<'_>> {
    let rest = text.strip_prefix('$')?;
    let Some(inner) = rest.strip_prefix('{') else {
        let (name, after) = name(rest)?;
        return Some(Reference { name, default: None, after });
    };
    let (name, inner) = name(inner)?;
    if let Some(after) = inner.strip_prefix('}') {
        return Some(Reference { name, default: None, after });
    }
    let (default, after) = until_closing_brace(inner.strip_prefix(":-")?)?;
    Some(Reference { name, default: Some(default), after })
}

/// A variable's name at the start of a text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well.then_some((name, after))
}

/// Splits at the `}` that closes this level; only `${` opens another.
fn until_closing_brace(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(text: &str) -> String {
        let get = |name: &str| match name {
            "USER" => Some("app".to_owned()),
            "_X1" => Some("x1".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$USER".to_owned()),
            _ => None,
        };
        let env = Environment::new(&get);
        env.expand(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_scram_verifier_is_kept_whole() {
        let verifier = "SCRAM-SHA-256$4096:c2FsdA==$StoredKey=:ServerKey=";
        assert_eq!(expand(verifier, &|_| Some("x".to_owned())), None);
        let get = |name: &str| (name == "V").then(|| verifier.to_owned());
        assert_eq!(expand("${V}", &get).as_deref(), Some(verifier));
    }

    #[test]
    fn the_three_forms() {
        for (text, result) in [
            ("$USER", "app"),
            ("${USER}", "app"),
            ("a-$USER-b", "a-app-b"),
            ("$USER$_X1", "appx1"),
            ("${USER}s", "apps"),
            ("$USERS", ""),
            ("${NONE}", ""),
            ("${NONE:-default}", "default"),
            ("${EMPTY:-default}", "default"),
            ("${NONE:-}", ""),
            ("${USER:-default}", "app"),
            ("tcp://127.0.0.1:${PORT:-6002}", "tcp://127.0.0.1:6002"),
        ] {
            assert_eq!(expanded(text), result, "{text}");
        }
    }

    #[test]
    fn references_with_and_without_default_mix() {
        assert_eq!(expanded("${USER}@${HOST:-db}/${NONE}x"), "app@db/x");
        assert_eq!(expanded("$USER:${NONE:-a:-b}"), "app:a:-b");
    }

    #[test]
    fn references_that_come_to_nothing_are_noted_once() {
        let get = |name: &str| (name == "EMPTY").then(String::new);
        let missing = Environment::new(&get).missing("$A ${EMPTY}$A ${B:-x} ${C:-$D} ${E:-} $$F");
        let shown: Vec<_> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["${A} is not set", "${EMPTY} is empty", "${D} is not set"]);
    }

    #[test]
    fn defaults_nest() {
        assert_eq!(expanded("${A:-${B:-c}}"), "c");
        assert_eq!(expanded("${A:-<${USER}>}!"), "<app>!");
        assert_eq!(expanded("${A:-{x}"), "{x");
    }

    #[test]
    fn a_dollar_that_starts_no_reference_is_kept() {
        for text in [
            "a$",
            "$$",
            "pa$$word!",
            "$1",
            "$-",
            "${",
            "${}",
            "${1}",
            "${A",
            "${A:-x",
            "${A-x}",
            "$ {A}",
        ] {
            assert_eq!(expanded(text), text);
        }
    }

    #[test]
    fn what_was_inserted_is_not_expanded_again() {
        assert_eq!(expanded("${DOLLAR}"), "$USER");
    }

    #[test]
    fn the_process_environment_wins_over_files() {
        let process = |name: &str| (name == "A").then(|| "process".to_owned());
        let mut env = Environment::new(&process);
        env.add_file(HashMap::from([("A".into(), "first".into()), ("B".into(), "first".into())]));
        env.add_file(HashMap::from([("B".into(), "second".into()), ("C".into(), "second".into())]));
        assert_eq!(env.expand("$A $B $C").as_deref(), Some("process first second"));
    }

    proptest! {
        #[test]
        fn any_text_expands(text in r"[${}:A-B\- ]{0,60}|.{0,40}") {
            let _ = expanded(&text);
        }
    }
}
