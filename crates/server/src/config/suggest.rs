//! "Did you mean": the known word nearest to an unknown one.

/// Letters and digits in lower case, so that `maxConnections` is near `max_connections`.
fn bare(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// How far apart two words are, when that is near enough to be a slip.
fn distance(word: &str, known: &str) -> Option<usize> {
    let (word, known) = (bare(word), bare(known));
    let distance = strsim::damerau_levenshtein(&word, &known);
    let allowed = (known.len() / 3).max(1);
    (distance <= allowed && distance < known.len()).then_some(distance)
}

/// Whether one word is a slip of the other.
pub(crate) fn is_close(word: &str, known: &str) -> bool {
    distance(word, known).is_some()
}

/// Whether both words are the same but for case and underscores.
pub(crate) fn is_same(word: &str, known: &str) -> bool {
    bare(word) == bare(known)
}

/// The known word nearest to `word`, when one is near enough.
pub(crate) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .filter_map(|known| distance(word, known).map(|distance| (distance, *known)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["max_connections", "min_connections", "mode", "dsn", "user"];
        assert_eq!(closest("max_conections", &known), Some("max_connections"));
        assert_eq!(closest("maxConnections", &known), Some("max_connections"));
        assert_eq!(closest("mdoe", &known), Some("mode"));
        assert_eq!(closest("dns", &known), Some("dsn"));
        assert_eq!(closest("something", &known), None);
        assert_eq!(closest("x", &known), None);
    }
}
