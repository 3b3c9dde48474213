//! Settings in a startup message: its parameters, and the `-c name=value` in its `options`.

use pool_manager::{Settings, SqlState};

use super::Refusal;
use crate::message::startup::Startup;

/// Parameters that are no settings.
const NOT_SETTINGS: [&str; 4] = ["user", "database", "options", "replication"];
/// Longest name of a setting, bytes.
const MAX_NAME: usize = 128;

/// The settings that a client asks for. The `role` that its user takes on comes first, then those in
/// `options`, as in the server, so that the parameters win.
pub(super) fn settings(startup: &Startup, role: Option<&str>) -> Result<Settings, Refusal> {
    let mut settings = Vec::new();
    settings.extend(role.map(|role| ("role".to_owned(), role.to_owned())));
    if let Some(options) = startup.get("options") {
        settings.extend(switches(options)?);
    }
    for (name, value) in &startup.parameters {
        if !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("_pq_.") {
            settings.push((name.to_ascii_lowercase(), value.clone()));
        }
    }
    match settings.iter().find(|(name, _)| !is_name(name)) {
        Some((name, _)) => {
            let shown: String = name.chars().take(64).collect();
            let message = format!("unrecognized configuration parameter \"{shown}\"");
            Err(Refusal::new(SqlState::UNDEFINED_OBJECT, message))
        }
        None => Ok(Settings::accepted(settings)),
    }
}

/// For fuzzing: the same, without a role and without words.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn startup_settings(startup: &Startup) -> Result<Settings, ()> {
    settings(startup, None).map_err(drop)
}

fn is_name(name: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$') || !c.is_ascii();
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain)
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`, as the server's command line has them.
fn switches(options: &str) -> Result<Vec<(String, String)>, Refusal> {
    let words = words(options);
    let mut words = words.iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => Some(long),
            (None, Some("")) => words.next().map(String::as_str),
            (None, short) => short,
        };
        let (name, value) = assignment.and_then(|text| text.split_once('=')).ok_or_else(|| {
            Refusal::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "options may hold -c name=value and --name=value only",
            )
        })?;
        settings.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
    }
    Ok(settings)
}

/// Words between blanks; a backslash takes the next character as it is.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let parameters = parameters.iter().map(owned).collect();
        match settings(&Startup { minor: 0, parameters }, None) {
            Ok(settings) => {
                Ok(settings.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
            }
            Err(Refusal::Told(error)) => Err(error.message),
            Err(Refusal::Silent) => Err(String::new()),
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn parameters_win_over_options_and_keep_their_values() {
        let found = read(&[
            ("user", "app"),
            ("database", "app"),
            ("replication", "false"),
            ("_pq_.x", "1"),
            ("TimeZone", "UTC"),
            ("application_name", "A b"),
            (
                "options",
                r"-c search_path=a,\ b --timezone=Asia/Tokyo -cwork_mem=64MB --lock-timeout=1s",
            ),
        ]);
        let expected = pairs(&[
            ("application_name", "A b"),
            ("lock_timeout", "1s"),
            ("search_path", "a, b"),
            ("timezone", "UTC"),
            ("work_mem", "64MB"),
        ]);
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn other_switches_and_strange_names_are_refused() {
        for bad in ["-d 5", "-c", "-c work_mem", "--work_mem", "x", "-c a;b=1"] {
            assert!(read(&[("options", bad)]).is_err(), "{bad}");
        }
        assert!(read(&[("a b", "1")]).is_err());
        assert_eq!(read(&[("options", "  ")]), Ok(Vec::new()));
    }
}
