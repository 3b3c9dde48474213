//! Method names as net/rpc understands them. It knows no service and no method of its own.

use crate::error::RequestError;

/// Longest method name that is looked at or echoed, in bytes. Go has no limit; real names are
/// below 64.
pub const MAX_METHOD_LENGTH: usize = 1024;

/// `Service.Method`, split at the last dot: a service's name may hold dots itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodName<'a> {
    full: &'a str,
    dot: usize,
}

impl<'a> MethodName<'a> {
    /// Splits a name.
    ///
    /// # Errors
    /// [`RequestError::IllFormedMethod`] when there is no dot.
    pub fn parse(full: &'a str) -> Result<Self, RequestError> {
        let dot = full.rfind('.').ok_or_else(|| RequestError::IllFormedMethod(full.to_owned()))?;
        Ok(Self { full, dot })
    }

    /// The whole name as sent.
    #[must_use]
    pub fn full(&self) -> &'a str {
        self.full
    }

    /// What stands before the last dot.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.full.get(..self.dot).unwrap_or_default()
    }

    /// What stands behind the last dot.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.full.get(self.dot + 1..).unwrap_or_default()
    }

    /// The answer when [`MethodName::service`] names nothing.
    #[must_use]
    pub fn unknown_service(&self) -> RequestError {
        RequestError::UnknownService(self.full.to_owned())
    }

    /// The answer when the service exists and [`MethodName::method`] names nothing in it.
    #[must_use]
    pub fn unknown_method(&self) -> RequestError {
        RequestError::UnknownMethod(self.full.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_last_dot() {
        let name = MethodName::parse("a.b.Run").unwrap();
        assert_eq!((name.service(), name.method(), name.full()), ("a.b", "Run", "a.b.Run"));
        let name = MethodName::parse(".").unwrap();
        assert_eq!((name.service(), name.method()), ("", ""));
    }

    #[test]
    fn texts_are_those_of_net_rpc() {
        assert_eq!(
            MethodName::parse("Execute").unwrap_err().to_string(),
            "rpc: service/method request ill-formed: Execute"
        );
        let name = MethodName::parse("pgpool.Nope").unwrap();
        assert_eq!(name.unknown_service().to_string(), "rpc: can't find service pgpool.Nope");
        assert_eq!(name.unknown_method().to_string(), "rpc: can't find method pgpool.Nope");
    }
}
