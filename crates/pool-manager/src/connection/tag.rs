//! Command tags: what a CommandComplete says was done.

/// The text of a CommandComplete, for instance `INSERT 0 3`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandTag(String);

impl CommandTag {
    /// Reads the body of a CommandComplete.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let text = body.strip_suffix(&[0]).unwrap_or(body);
        Self(String::from_utf8_lossy(text).into_owned())
    }

    /// The whole tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The command without its counts, for instance `INSERT`.
    pub fn command(&self) -> &str {
        self.0.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().trim_end()
    }

    /// Rows inserted, updated, deleted, merged, selected, moved, fetched or copied; 0 for
    /// commands that count none.
    pub fn rows_affected(&self) -> u64 {
        self.0.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_split_into_command_and_count() {
        for (tag, command, rows) in [
            ("INSERT 0 3", "INSERT", 3),
            ("SELECT 12", "SELECT", 12),
            ("CREATE TABLE", "CREATE TABLE", 0),
            ("COMMIT", "COMMIT", 0),
            ("", "", 0),
        ] {
            let parsed = CommandTag::parse(format!("{tag}\0").as_bytes());
            assert_eq!((parsed.command(), parsed.rows_affected()), (command, rows), "{tag}");
        }
    }
}
