//! Addresses of what speaks HTTP: as the others, or as Go writes them, without `tcp://`.

use std::fmt;
use std::str::FromStr;

use super::{ListenAddress, text_value};

/// Where an HTTP listener listens, if it does: `127.0.0.1:2115`, `:2115`, or any other address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpAddress(Option<ListenAddress>);

impl HttpAddress {
    /// Listens nowhere.
    pub const OFF: Self = Self(None);

    /// The address; `None` when it is off.
    pub fn get(&self) -> Option<&ListenAddress> {
        self.0.as_ref()
    }
}

impl From<ListenAddress> for HttpAddress {
    fn from(address: ListenAddress) -> Self {
        Self(Some(address))
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |address| address.fmt(f))
    }
}

impl FromStr for HttpAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(Self::OFF),
            text if text.contains("://") => text.parse().map(|address| Self(Some(address))),
            // A number alone is a port somebody has forgotten the colon of.
            text if !text.contains(':') => Err("the port is missing: 127.0.0.1:2115, or :2115"),
            text => format!("tcp://{text}").parse().map(|address| Self(Some(address))),
        }
    }
}

text_value!(
    HttpAddress,
    "an address like 127.0.0.1:2115, :2115, tcp://127.0.0.1:2115 or unix:///run/pgpool.http.sock, or '' for none",
    {
        "type": "string",
        "pattern": "^((tcp://)?[^/]*:[0-9]+|unix://.+|)$"
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_may_be_left_out() {
        for (text, address) in [
            ("127.0.0.1:2115", ListenAddress::tcp("127.0.0.1", 2115)),
            (":2115", ListenAddress::tcp("", 2115)),
            ("[::1]:2115", ListenAddress::tcp("::1", 2115)),
            ("tcp://localhost:0", ListenAddress::tcp("localhost", 0)),
            ("unix:///run/x.sock", ListenAddress::Unix("/run/x.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(HttpAddress::from(address)), "{text}");
        }
        assert_eq!("".parse(), Ok(HttpAddress::OFF));
        for text in ["2115", "localhost", "http://localhost:2115", "::1:2115", "localhost:x"] {
            assert!(text.parse::<HttpAddress>().is_err(), "{text}");
        }
    }
}
