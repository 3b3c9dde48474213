//! Sizes in bytes: `64MiB` (powers of 1024), `64MB` (powers of 1000), or a bare number.

use std::fmt;
use std::str::FromStr;

use super::text_value;

/// Units, largest first within their kind; the first that divides a size evenly prints it.
const UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 =
            number.parse().map_err(|_| "a size is written 64MiB, 64MB or in bytes")?;
        let unit = unit.trim_start();
        let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let size = match known {
            Some((_, size)) => *size,
            None if unit.is_empty() => 1,
            None => return Err("unknown unit of size; use B, KB, MB, GB, KiB, MiB or GiB"),
        };
        number.checked_mul(size).map(Self).ok_or("the size is too large")
    }
}

text_value!(ByteSize, "a size like 64MiB", {
    "type": ["string", "integer"],
    "pattern": "^[0-9]+ *([KkMmGg][Ii]?)?[Bb]?$",
    "minimum": 0
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_printed() {
        for (text, bytes, printed) in [
            ("64MiB", 67_108_864, "64MiB"),
            ("64MB", 64_000_000, "64MB"),
            ("1 gib", 1_073_741_824, "1GiB"),
            ("4096", 4096, "4KiB"),
            ("1500B", 1500, "1500B"),
            ("3KB", 3000, "3KB"),
            ("0", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), printed);
            assert_eq!(printed.parse(), Ok(size));
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "MB", "-1", "1.5MB", "64M", "64TB", "99999999999GiB", "18446744073709551616"]
        {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
