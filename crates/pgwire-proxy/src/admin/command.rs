//! The console's commands: words and a few values. Keywords in any case, a `;` at the end or not.

use pool_manager::SqlState;

use super::control::ShutdownKind;
use super::{Fault, fault};

/// What SHOW can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Clients,
    Config,
    Databases,
    Help,
    Lists,
    Mem,
    Pools,
    Queries,
    Servers,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

/// Each with its name.
const TOPICS: [(&str, Topic); 16] = [
    ("CLIENTS", Topic::Clients),
    ("CONFIG", Topic::Config),
    ("DATABASES", Topic::Databases),
    ("HELP", Topic::Help),
    ("LISTS", Topic::Lists),
    ("MEM", Topic::Mem),
    ("POOLS", Topic::Pools),
    ("QUERIES", Topic::Queries),
    ("SERVERS", Topic::Servers),
    ("STATE", Topic::State),
    ("STATS", Topic::Stats),
    ("STATS_AVERAGES", Topic::StatsAverages),
    ("STATS_TOTALS", Topic::StatsTotals),
    ("TOTALS", Topic::Totals),
    ("USERS", Topic::Users),
    ("VERSION", Topic::Version),
];

/// All commands, as the help and errors list them.
pub(super) const COMMANDS: &str = "SHOW, SET, RELOAD, PAUSE, RESUME, RECONNECT, KILL, KILL_CLIENT, \
                                   DISABLE, ENABLE, WAIT_CLOSE, SHUTDOWN";

/// A command, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Empty,
    Show(Topic),
    /// Of PostgreSQL's, which drivers ask every server for.
    ShowSetting(&'static str, &'static str),
    /// SET of what drivers set at every server, without effect.
    Ignored,
    Set(String, String),
    Reload,
    /// `None`: all databases.
    Pause(Option<String>),
    Resume(Option<String>),
    Reconnect(Option<String>),
    Kill(Option<String>),
    KillClient(i32),
    Disable(String),
    Enable(String),
    WaitClose(Option<String>),
    Shutdown(ShutdownKind),
}

impl Command {
    /// Whether those may who may only look.
    pub(super) fn only_looks(&self) -> bool {
        matches!(self, Self::Empty | Self::Show(_) | Self::ShowSetting(..) | Self::Ignored)
    }

    /// How CommandComplete calls it.
    pub(super) fn tag(&self) -> &'static str {
        match self {
            Self::Empty => "",
            Self::Show(_) | Self::ShowSetting(..) => "SHOW",
            Self::Ignored | Self::Set(..) => "SET",
            Self::Reload => "RELOAD",
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Reconnect(_) => "RECONNECT",
            Self::Kill(_) => "KILL",
            Self::KillClient(_) => "KILL_CLIENT",
            Self::Disable(_) => "DISABLE",
            Self::Enable(_) => "ENABLE",
            Self::WaitClose(_) => "WAIT_CLOSE",
            Self::Shutdown(_) => "SHUTDOWN",
        }
    }
}

/// Reads one command.
///
/// # Errors
/// There is no such one, or something is missing or too much: with what there is.
pub(super) fn parse(text: &str) -> Result<Command, Fault> {
    let words = words(text)?;
    let Some((first, rest)) = words.split_first() else { return Ok(Command::Empty) };
    let verb = first.to_ascii_uppercase();
    match verb.as_str() {
        "SHOW" => show(rest),
        "SET" => set(rest),
        "RELOAD" => none(&verb, rest).map(|()| Command::Reload),
        "PAUSE" => perhaps_one(&verb, rest).map(Command::Pause),
        "RESUME" => perhaps_one(&verb, rest).map(Command::Resume),
        "RECONNECT" => perhaps_one(&verb, rest).map(Command::Reconnect),
        "KILL" => perhaps_one(&verb, rest).map(Command::Kill),
        "WAIT_CLOSE" => perhaps_one(&verb, rest).map(Command::WaitClose),
        "DISABLE" => one(&verb, rest, "a database").map(Command::Disable),
        "ENABLE" => one(&verb, rest, "a database").map(Command::Enable),
        "KILL_CLIENT" => one(&verb, rest, "the id of a client, as SHOW CLIENTS has it")
            .and_then(|id| {
                id.parse().map_err(|_| syntax(format!("KILL_CLIENT: {id:?} is no client's id")))
            })
            .map(Command::KillClient),
        "SHUTDOWN" => shutdown(rest),
        "SUSPEND" => Err(refused(
            "SUSPEND is not supported: a new process takes over while the old one drains, and \
             needs no sockets handed over; PAUSE holds statements back",
        )),
        _ => Err(syntax(format!("unknown command {:?}; there are: {COMMANDS}", shown(first)))),
    }
}

fn show(words: &[String]) -> Result<Command, Fault> {
    let name = words.join(" ").to_ascii_uppercase();
    if let Some((_, topic)) = TOPICS.iter().find(|(topic, _)| *topic == name) {
        return Ok(Command::Show(*topic));
    }
    match name.as_str() {
        "" => Ok(Command::Show(Topic::Help)),
        // What drivers ask for when they have connected.
        "CLIENT_ENCODING" => Ok(Command::ShowSetting("client_encoding", "UTF8")),
        "STANDARD_CONFORMING_STRINGS" => {
            Ok(Command::ShowSetting("standard_conforming_strings", "on"))
        }
        "TRANSACTION ISOLATION LEVEL" => {
            Ok(Command::ShowSetting("transaction_isolation", "read committed"))
        }
        _ => {
            let topics = TOPICS.map(|(name, _)| name).join(", ");
            Err(syntax(format!(
                "SHOW {:?}: there is no such list; there are: {topics}",
                shown(&name)
            )))
        }
    }
}

/// `SET name = value` and `SET name TO value`.
fn set(words: &[String]) -> Result<Command, Fault> {
    let usage = || syntax("SET: write SET name = 'value'; SHOW CONFIG has the names".to_owned());
    let [name, equals, value] = words else { return Err(usage()) };
    if equals != "=" && !equals.eq_ignore_ascii_case("TO") {
        return Err(usage());
    }
    let name = name.to_ascii_lowercase();
    let ignored = ["extra_float_digits", "application_name", "client_encoding", "datestyle"];
    if ignored.contains(&name.as_str()) {
        return Ok(Command::Ignored);
    }
    Ok(Command::Set(name, value.clone()))
}

fn shutdown(words: &[String]) -> Result<Command, Fault> {
    let how = match words {
        [] => ShutdownKind::Now,
        [how] if how.eq_ignore_ascii_case("WAIT_FOR_SERVERS") => ShutdownKind::WaitForServers,
        [how] if how.eq_ignore_ascii_case("WAIT_FOR_CLIENTS") => ShutdownKind::WaitForClients,
        _ => {
            let text = "SHUTDOWN: write it alone, or with WAIT_FOR_SERVERS or WAIT_FOR_CLIENTS";
            return Err(syntax(text.to_owned()));
        }
    };
    Ok(Command::Shutdown(how))
}

fn none(verb: &str, words: &[String]) -> Result<(), Fault> {
    match words {
        [] => Ok(()),
        [first, ..] => {
            Err(syntax(format!("{verb} stands alone; {:?} does not belong to it", shown(first))))
        }
    }
}

fn perhaps_one(verb: &str, words: &[String]) -> Result<Option<String>, Fault> {
    match words {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(syntax(format!("{verb} takes one database, or none for all of them"))),
    }
}

fn one(verb: &str, words: &[String], what: &str) -> Result<String, Fault> {
    match words {
        [one] => Ok(one.clone()),
        _ => Err(syntax(format!("{verb} needs {what}, and nothing else"))),
    }
}

fn syntax(message: String) -> Fault {
    fault(SqlState::SYNTAX_ERROR, message)
}

fn refused(message: &str) -> Fault {
    fault(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// Some of a word of the client's, for an error.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

/// Words, `=`, and values in quotes; `--` begins a comment.
fn words(text: &str) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(words) };
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let word = match first {
            ';' if rest.trim_matches(|c: char| c == ';' || c.is_whitespace()).is_empty() => {
                return Ok(words);
            }
            ';' => return Err(syntax("one command at a time".to_owned())),
            '=' => "=".to_owned(),
            '\'' | '"' => {
                let Some((word, after)) = quoted(rest, first) else {
                    return Err(syntax(format!("a value begins with {first} and does not end")));
                };
                words.push(word);
                rest = after;
                continue;
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '=' | '\'' | '"');
                rest.split(ends).next().unwrap_or_default().to_owned()
            }
        };
        rest = rest.get(word.len()..).unwrap_or_default();
        words.push(word);
    }
}

/// What stands within quotes, where two of them stand for one, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (part, after) = rest.split_once(quote)?;
        word.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                word.push(quote);
                rest = more;
            }
            None => return Some((word, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case_and_with_their_values() {
        let named = |name: &str| Some(name.to_owned());
        for (text, command) in [
            ("", Command::Empty),
            (" ; ", Command::Empty),
            ("show Stats;", Command::Show(Topic::Stats)),
            ("SHOW", Command::Show(Topic::Help)),
            ("SHOW POOLS -- all of them\n;", Command::Show(Topic::Pools)),
            ("pause", Command::Pause(None)),
            ("PAUSE \"a \"\"b\"\"\";", Command::Pause(named("a \"b\""))),
            ("RESUME shop", Command::Resume(named("shop"))),
            ("kill_client 12", Command::KillClient(12)),
            ("SET a=1", Command::Set("a".to_owned(), "1".to_owned())),
            ("set A TO 'it''s';", Command::Set("a".to_owned(), "it's".to_owned())),
            ("SET extra_float_digits = 3", Command::Ignored),
            ("SHUTDOWN wait_for_clients", Command::Shutdown(ShutdownKind::WaitForClients)),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&command), "{text}");
        }
    }

    #[test]
    fn errors_name_the_command_and_what_exists() {
        for (text, said) in [
            ("SELECT 1", "RECONNECT"),
            ("SHOW NOTHING", "STATS_TOTALS"),
            ("DISABLE", "DISABLE needs a database"),
            ("PAUSE a b", "PAUSE takes one database"),
            ("RELOAD now", "RELOAD stands alone"),
            ("KILL_CLIENT x", "no client's id"),
            ("SET a", "SET name = 'value'"),
            ("SUSPEND", "SUSPEND is not supported"),
            ("SHUTDOWN later", "WAIT_FOR_SERVERS"),
            ("PAUSE; RESUME", "one command at a time"),
            ("PAUSE 'x", "does not end"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(said), "{text}: {}", error.message);
        }
    }
}
