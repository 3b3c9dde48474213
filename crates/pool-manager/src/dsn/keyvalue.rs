//! The key=value form: `host=db user=app password='two words'`.

use std::iter::Peekable;
use std::str::Chars;

use super::settings::Settings;
use super::{DsnError, keywords};

/// Reads the pairs of a key=value DSN.
pub(crate) fn parse(text: &str) -> Result<Settings, DsnError> {
    let mut settings = Settings::default();
    let mut chars = text.chars().peekable();
    // A word that follows the password may be the rest of an unquoted one: it is not repeated.
    let mut after_password = false;
    loop {
        skip_spaces(&mut chars);
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let keyword = keyword(&mut chars);
        skip_spaces(&mut chars);
        let known = keywords::known(&keyword);
        if chars.next_if_eq(&'=').is_none() {
            return Err(missing_equals(known, settings.is_empty()));
        }
        let Some(known) = known else {
            return Err(keywords::unknown(&keyword, !after_password));
        };
        skip_spaces(&mut chars);
        settings.set(known, value(&mut chars, known)?);
        after_password = known == "password";
    }
}

fn missing_equals(known: Option<&str>, first: bool) -> DsnError {
    match known {
        Some(keyword) => DsnError::syntax(format!("\"=\" is missing after {keyword}")),
        None if first => DsnError::syntax(
            "this is neither a URL (postgres://user:password@host/dbname) nor key=value pairs \
             (host=... user=... dbname=...)",
        ),
        None => DsnError::syntax(
            "\"=\" is missing after a keyword; a value with spaces needs quotes: key='two words'",
        ),
    }
}

/// Spaces as C's `isspace` has them; others may be part of a value.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn skip_spaces(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_space(*c)).is_some() {}
}

fn keyword(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| *c != '=' && !is_space(*c)) {
        word.push(c);
    }
    word
}

/// A value: up to the next space, or in single quotes. A backslash takes the next character as is.
fn value(chars: &mut Peekable<Chars<'_>>, keyword: &'static str) -> Result<String, DsnError> {
    let mut value = String::new();
    let quoted = chars.next_if_eq(&'\'').is_some();
    loop {
        let next = if quoted { chars.next() } else { chars.next_if(|c| !is_space(*c)) };
        match next {
            Some('\\') => match chars.next() {
                Some(c) => value.push(c),
                // libpq, too, drops a backslash that ends an unquoted value.
                None if !quoted => return Ok(value),
                None => return Err(DsnError::value(keyword, "the closing quote is missing")),
            },
            Some('\'') if quoted => return Ok(value),
            Some(c) => value.push(c),
            None if quoted => {
                return Err(DsnError::value(keyword, "the closing quote is missing"));
            }
            None => return Ok(value),
        }
    }
}
