//! The keywords a DSN may hold, and what to say about the others.

use super::DsnError;

/// Every keyword understood, by libpq's names.
pub(crate) const KEYWORDS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "target_session_attrs",
    "connect_timeout",
    "application_name",
    "options",
    "keepalives",
    "keepalives_idle",
];

/// Words that people write, and what they mean here.
const ADVICE: &[(&str, &str)] = &[
    ("database", "write dbname"),
    ("db", "write dbname"),
    ("username", "write user"),
    ("hostname", "write host"),
    ("server", "write host"),
    ("pass", "write password"),
    ("pwd", "write password"),
    ("ssl", "write sslmode=require"),
    ("requiressl", "write sslmode=require"),
    ("timeout", "write connect_timeout"),
    ("search_path", "write options=-csearch_path=..."),
    ("charset", "remove it: connections always use UTF-8"),
    ("client_encoding", "remove it: connections always use UTF-8"),
    ("serverversion", "remove it: it is meant for Doctrine, not for PostgreSQL"),
    ("fallback_application_name", "write application_name"),
    ("passfile", "write the password, or take it from the environment: ${VARIABLE}"),
    ("service", "write host, dbname and user instead"),
    ("sslpassword", "only keys without a passphrase are supported"),
    ("pool_max_conns", "it is a setting: pool.max_connections"),
    ("pool_min_conns", "it is a setting: pool.min_connections"),
    ("gssencmode", "remove it: GSSAPI encryption is not supported"),
    ("sslcrl", "revocation lists are not supported"),
    ("sslcrldir", "revocation lists are not supported"),
];

/// The table's own spelling of a known keyword.
pub(crate) fn known(keyword: &str) -> Option<&'static str> {
    KEYWORDS.iter().find(|known| **known == keyword).copied()
}

/// The error for a keyword that is not known; `echo` only when it cannot be a piece of a password.
pub(crate) fn unknown(keyword: &str, echo: bool) -> DsnError {
    let plausible = !keyword.is_empty()
        && keyword.len() <= 40
        && keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !echo || !plausible {
        return DsnError::syntax(
            "there is an unknown keyword, which is not shown because it may be a piece of the \
             password; a password with spaces needs quotes in the key=value form, and one with any \
             of @ / : ? & % = percent-encoding in the URL form",
        );
    }
    let lower = keyword.to_ascii_lowercase();
    let hint = if let Some((_, advice)) = ADVICE.iter().find(|(word, _)| *word == lower) {
        format!(": {advice}")
    } else if let Some(close) = closest(&lower) {
        format!(": did you mean {close}?")
    } else {
        String::new()
    };
    DsnError::UnknownKeyword { keyword: keyword.to_owned(), hint }
}

/// The known keyword nearest to `word`, when it is near enough to be meant.
fn closest(word: &str) -> Option<&'static str> {
    KEYWORDS
        .iter()
        .map(|known| (edit_distance(word, known), *known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Insertions, deletions, replacements and swaps of neighbours between two short words.
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(right.len() + 1);
        row.push(i + 1);
        for (j, b) in right.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_keyword_gets_a_suggestion() {
        for (word, meant) in
            [("sslmod", "sslmode"), ("pasword", "password"), ("prot", "port"), ("usr", "user")]
        {
            assert_eq!(
                unknown(word, true).to_string(),
                format!("unknown keyword {word:?}: did you mean {meant}?")
            );
        }
        assert_eq!(unknown("zzzzzz", true).to_string(), "unknown keyword \"zzzzzz\"");
    }

    #[test]
    fn words_of_other_tools_get_advice() {
        let text = unknown("serverVersion", true).to_string();
        assert!(text.contains("serverVersion") && text.contains("Doctrine"), "{text}");
    }

    #[test]
    fn what_may_be_a_password_is_not_repeated() {
        assert!(!unknown("hunter2", false).to_string().contains("hunter2"));
        assert!(!unknown("hunter2@host", true).to_string().contains("hunter2"));
    }
}
