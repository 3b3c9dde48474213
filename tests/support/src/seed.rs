//! The seed of a randomised test: taken from the environment to repeat a failure, else random.
//! It never hides the seed: the value is printed, and shown by the test runner on failure.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A 64-bit seed that has been printed together with the way to repeat the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// Reads the seed (decimal, or hexadecimal after `0x`) from the environment variable
    /// `variable`, or draws one; prints it either way. The test runner captures the line and shows
    /// it when the test fails.
    ///
    /// # Panics
    /// When the variable is set to something that is not a number.
    #[must_use]
    pub fn from_env_or_random(variable: &str) -> Self {
        let seed = match std::env::var(variable) {
            Ok(text) => parse(&text)
                .unwrap_or_else(|| panic!("{variable} must be a 64-bit number, not {text:?}")),
            Err(_) => rand::random(),
        };
        say(&format!("seed: {variable}={seed} repeats this run"));
        Self(seed)
    }

    /// A fixed seed, for tests whose script must not vary.
    #[must_use]
    pub const fn fixed(seed: u64) -> Self {
        Self(seed)
    }

    /// The number itself.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// A generator started from this seed.
    #[must_use]
    pub fn rng(self) -> StdRng {
        StdRng::seed_from_u64(self.0)
    }

    /// A seed for part number `index` of the test (a connection, a task), so that every part has a
    /// sequence of its own that does not depend on how the parts are scheduled.
    #[must_use]
    pub const fn derive(self, index: u64) -> Self {
        // The odd constant spreads neighbouring indexes over the whole range (Weyl sequence).
        Self(self.0 ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Prints one line to where the test runner captures output.
#[allow(clippy::print_stderr, reason = "tests speak to their runner, not to a log")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn equal_seeds_give_equal_sequences_and_parts_differ() {
        let draw = |seed: Seed| -> u64 { seed.rng().random() };
        let seed = Seed::fixed(7);
        assert_eq!(draw(seed), draw(Seed::fixed(7)));
        assert_ne!(draw(seed.derive(0)), draw(seed.derive(1)));
    }

    #[test]
    fn reads_both_notations() {
        assert_eq!(parse("17"), Some(17));
        assert_eq!(parse("0xff"), Some(255));
        assert_eq!(parse("seven"), None);
    }
}
