//! Statements without their constants, for logs: structure stays, data goes.

use super::token::{TokenKind, Tokens};

/// `sql` with every string and number replaced by `?` and comments dropped. An unterminated
/// string is a string.
#[must_use]
pub fn mask_literals(sql: &str) -> String {
    let mut masked = String::with_capacity(sql.len());
    for token in Tokens::new(sql) {
        match token.kind {
            TokenKind::String | TokenKind::Number | TokenKind::Unterminated => masked.push('?'),
            TokenKind::LineComment | TokenKind::BlockComment | TokenKind::Space => {
                if !masked.ends_with(' ') {
                    masked.push(' ');
                }
            }
            _ => masked.push_str(token.text),
        }
    }
    masked.truncate(masked.trim_end().len());
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_comments_go_structure_stays() {
        for (sql, masked) in [
            (
                "SELECT * FROM t WHERE a = 'x''y' AND b = $1",
                "SELECT * FROM t WHERE a = ? AND b = $1",
            ),
            ("SELECT 1.5e3, E'\\'', $$secret$$ -- secret", "SELECT ?, ?, ?"),
            ("SELECT /* secret */  \"Name\"\n FROM t", "SELECT \"Name\" FROM t"),
            ("SELECT 'secret", "SELECT ?"),
        ] {
            assert_eq!(mask_literals(sql), masked);
        }
    }
}
