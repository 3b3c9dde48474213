//! Which settings a text of `SET` and `RESET` statements touches, and which prepared statement a
//! `DEALLOCATE` names. Reads texts that the classifier has told to be such; the values are never
//! looked at.

use super::lexemes::{Lexeme, Lexemes};
use super::token::TokenKind;
use super::words::Keyword;

/// Longer texts are not taken for names of settings, bytes.
const MAX_CUSTOM_NAME: usize = 128;

/// Settings that a text changes for longer than its transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TouchedSettings {
    /// Their names in lower case, those that were only reset included.
    pub names: Vec<String>,
    /// Whether some are put back to their defaults (`RESET`, `SET … TO DEFAULT`).
    pub resets: bool,
}

/// What a `DEALLOCATE` takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deallocated {
    /// `DEALLOCATE ALL`
    All,
    /// The statement of this name, as the server would read it.
    Name(String),
}

/// The settings that the `SET` and `RESET` statements of `sql` touch, and an application's own
/// (`app.user_id`) that `set_config()` is given as a literal. `SET LOCAL` and its like, and
/// whatever is inside functions, are passed over.
#[must_use]
pub fn touched_settings(sql: &str) -> TouchedSettings {
    let mut lexemes = Lexemes::new(sql);
    let mut touched = TouchedSettings::default();
    while lexemes.peek().is_some() {
        match lexemes.peek_keyword() {
            Some(Keyword::Set) => set(lexemes.clone(), &mut touched),
            Some(Keyword::Reset) => reset(lexemes.clone(), &mut touched),
            _ => set_config(lexemes.clone(), &mut touched),
        }
        let _ = lexemes.by_ref().find(Lexeme::ends_statement);
    }
    touched
}

/// What the single statement `sql`, a `DEALLOCATE`, takes away; `None` when it cannot be read.
#[must_use]
pub fn deallocated(sql: &str) -> Option<Deallocated> {
    let mut lexemes = Lexemes::new(sql);
    while lexemes.peek().is_some_and(|first| first.token.kind == TokenKind::Semicolon) {
        lexemes.next();
    }
    if !lexemes.accept(Keyword::Deallocate) {
        return None;
    }
    lexemes.accept(Keyword::Prepare);
    let what = lexemes.next()?;
    let is_end = lexemes.all(|rest| rest.token.kind == TokenKind::Semicolon);
    if !is_end || !what.is_name() {
        return None;
    }
    Some(if what.is(Keyword::All) { Deallocated::All } else { Deallocated::Name(name(what)?) })
}

/// `SET [SESSION] name …`, `SET TIME ZONE …`, `SET ROLE …` and the other forms.
fn set(mut head: Lexemes<'_>, touched: &mut TouchedSettings) {
    head.next();
    match head.peek_keyword() {
        Some(Keyword::Local | Keyword::Transaction | Keyword::Constraints) => return,
        Some(Keyword::Session) => {
            // A parameter of that name does not exist; it is the word.
            head.next();
        }
        _ => {}
    }
    if head.accept(Keyword::Characteristics) {
        touched.names.extend(
            ["isolation", "read_only", "deferrable"]
                .map(|what| format!("default_transaction_{what}")),
        );
        return;
    }
    // SET SESSION SESSION AUTHORIZATION
    head.accept(Keyword::Session);
    let Some(name) = parameter(&mut head) else { return };
    touched.names.push(name);
    let assigns = head.accept(Keyword::To)
        || head.peek().is_some_and(|next| next.token.kind == TokenKind::Operator);
    // SET TIME ZONE has no TO in front of its DEFAULT.
    let value = if assigns {
        head.find(|lexeme| lexeme.token.kind != TokenKind::Operator)
    } else {
        head.next()
    };
    touched.resets |= value
        .is_some_and(|value| ["default", "local"].iter().any(|word| value.token.is_word(word)));
}

fn reset(mut head: Lexemes<'_>, touched: &mut TouchedSettings) {
    head.next();
    touched.resets = true;
    head.accept(Keyword::Session);
    if let Some(name) = parameter(&mut head) {
        touched.names.push(name);
    }
}

/// Literals behind `set_config` that can be names, whichever argument they are: to ask for a setting
/// that does not exist does no harm.
fn set_config(lexemes: Lexemes<'_>, touched: &mut TouchedSettings) {
    let mut is_call = false;
    for lexeme in lexemes.take_while(|lexeme| !lexeme.ends_statement()) {
        match lexeme.token.kind {
            TokenKind::Word | TokenKind::QuotedIdentifier => {
                is_call |= lexeme.token.text.trim_matches('"').eq_ignore_ascii_case("set_config");
            }
            TokenKind::String if is_call => {
                let quoted = lexeme.token.text.split('\'').nth(1);
                touched.names.extend(quoted.and_then(|text| custom_setting(text.as_bytes())));
            }
            _ => {}
        }
    }
}

/// The lower-case name of a setting of an application's own, if it can be one.
#[must_use]
pub fn custom_setting(text: &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$.".contains(byte);
    let can_be = text.len() <= MAX_CUSTOM_NAME && text.contains(&b'.') && text.iter().all(is_part);
    can_be.then(|| String::from_utf8_lossy(text).to_ascii_lowercase())
}

/// Reads a parameter's name; the names that SQL gives to some are replaced by the server's own.
fn parameter(head: &mut Lexemes<'_>) -> Option<String> {
    let first = head.next()?;
    if first.is(Keyword::Time) && head.accept(Keyword::Zone) {
        return Some("timezone".to_owned());
    }
    let mut text = name(first)?;
    while head.peek().is_some_and(|next| next.token.kind == TokenKind::Dot) {
        head.next();
        text.push('.');
        text.push_str(&name(head.next()?)?);
    }
    text.make_ascii_lowercase();
    Some(match text.as_str() {
        "names" => "client_encoding".to_owned(),
        "schema" => "search_path".to_owned(),
        "authorization" => "session_authorization".to_owned(),
        "xml" => "xmloption".to_owned(),
        _ => text,
    })
}

/// An identifier as the server reads it; `None` for one with Unicode escapes.
fn name(lexeme: Lexeme<'_>) -> Option<String> {
    match lexeme.token.kind {
        TokenKind::Word => Some(lexeme.token.text.to_ascii_lowercase()),
        TokenKind::QuotedIdentifier => {
            let inner = lexeme.token.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.replace("\"\"", "\""))
        }
        _ => None,
    }
}
