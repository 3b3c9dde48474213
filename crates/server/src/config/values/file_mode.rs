//! Permission bits of a file, in octal.

use std::fmt;
use std::str::FromStr;

use super::text_value;

/// Permission bits such as `0660`; always octal, with or without a leading 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Permission bits; others are dropped.
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o777)
    }

    /// The permission bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o777 && !digits.starts_with('+') => Ok(Self(bits)),
            _ => Err("a file mode is written in octal, from 0000 to 0777, as in 0660"),
        }
    }
}

text_value!(FileMode, "a file mode like 0660", {
    "type": ["string", "integer"],
    "pattern": "^(0o)?[0-7]{1,4}$",
    "minimum": 0,
    "maximum": 777
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        for text in ["0660", "660", "0o660"] {
            let mode: FileMode = text.parse().unwrap();
            assert_eq!(mode.bits(), 0o660);
            assert_eq!(mode.to_string(), "0660");
        }
        for text in ["", "0888", "1000", "-1", "+7", "rw-rw----"] {
            assert!(text.parse::<FileMode>().is_err(), "{text}");
        }
    }
}
