//! The words by which libpq calls the values of `sslmode` and its like. Knows nothing of DSNs.

use super::{ChannelBinding, SslMode, SslNegotiation, TargetSessionAttrs};

/// A setting whose value is one of a few words.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// Every value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The value for a word, written exactly.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// All words, for an error message.
    fn words() -> String {
        let words: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        words.join(", ")
    }
}

impl Named for SslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

impl Named for SslNegotiation {
    const WORDS: &'static [(&'static str, Self)] =
        &[("postgres", Self::Postgres), ("direct", Self::Direct)];
}

impl Named for ChannelBinding {
    const WORDS: &'static [(&'static str, Self)] =
        &[("disable", Self::Disable), ("prefer", Self::Prefer), ("require", Self::Require)];
}

impl Named for TargetSessionAttrs {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];
}

macro_rules! public_words {
    ($($type:ty),*) => {$(
        impl $type {
            /// The word that libpq uses for this value.
            pub fn as_str(self) -> &'static str {
                self.word()
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    )*};
}

public_words!(SslMode, SslNegotiation, ChannelBinding, TargetSessionAttrs);
