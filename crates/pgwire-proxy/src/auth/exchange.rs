//! The dialogue by which one client proves who it is, message by message.
//!
//! ```text
//!           ┌─ nothing asked ─────────────────────────────────────────► Accepted / Denied
//! begin ────┼─ Ask (password or MD5) ── answer ───────────────────────► Accepted / Denied
//!           └─ Ask (SASL) ── first ── Ask (continue) ── final ── Final ► Accepted / Denied
//! ```

use std::sync::Arc;

use md5::{Digest, Md5};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::credential::{Credential, Form, Verifier};
use super::scram::{self, Binding, Malformed, ServerFirst};
use super::{AuthMode, Pretence};

/// Longest answer, bytes; PostgreSQL takes up to 64 KiB, for tokens that are not spoken here.
pub(crate) const MAX_ANSWER: usize = 4096;

/// Codes of the Authentication messages.
const CLEARTEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this Authentication message and hand the answer back.
    Ask(u32, Vec<u8>),
    /// The client is who it says it is. Send this first, if there is anything.
    Accepted(Option<(u32, Vec<u8>)>),
    /// It is not, or nobody knows it.
    Denied,
    /// Nobody knows it, where everybody known is trusted.
    Unknown,
    /// The answer breaks the protocol.
    Malformed(&'static str),
}

/// One client's proof.
pub(crate) struct Exchange {
    state: State,
    /// What a proof can be bound to.
    binding: Option<Arc<[u8]>>,
}

enum State {
    /// Nothing is asked. Whether it is let in all the same.
    Trusted(bool),
    Cleartext(Option<Form>),
    Md5 {
        /// What the answer must be; `None` for nobody.
        expected: Option<String>,
        salt: [u8; 4],
    },
    Sasl {
        verifier: Verifier,
        pretended: bool,
    },
    ServerFirst(Box<ServerFirst>),
    Over,
}

impl Exchange {
    pub(super) fn new(
        mode: AuthMode,
        user: &str,
        is_known: bool,
        known: Option<&Credential>,
        pretence: &Pretence,
        binding: Option<Arc<[u8]>>,
    ) -> Self {
        let form = known.map(Credential::form);
        let state = match (mode, form) {
            (AuthMode::None, _) => State::Trusted(true),
            (AuthMode::Trust | AuthMode::Cert, _) => State::Trusted(is_known),
            (AuthMode::Password, form) => State::Cleartext(match form {
                // Anybody's stored hash is by their own name.
                Some(Form::Md5(hash)) => Some(Form::Md5(format!("{hash}{user}"))),
                None if pretence.slow => Some(Form::Scram(pretence.verifier(user))),
                other => other.cloned(),
            }),
            (AuthMode::Md5 | AuthMode::ScramSha256, Some(Form::Scram(verifier))) => {
                State::Sasl { verifier: verifier.clone(), pretended: false }
            }
            // As a user who has a verifier is asked, where some have one.
            (AuthMode::Md5, None) if pretence.slow => {
                State::Sasl { verifier: pretence.verifier(user), pretended: true }
            }
            (AuthMode::ScramSha256, _) => {
                State::Sasl { verifier: pretence.verifier(user), pretended: true }
            }
            (AuthMode::Md5, form) => {
                let salt = rand::random();
                let expected = match form {
                    Some(Form::Md5(hash)) => Some(salted(hash, salt)),
                    _ => None,
                };
                State::Md5 { expected, salt }
            }
        };
        Self { state, binding }
    }

    /// The first step, before anything was answered.
    pub(crate) fn start(&mut self) -> Step {
        match &self.state {
            State::Trusted(true) => Step::Accepted(None),
            State::Trusted(false) => Step::Unknown,
            State::Cleartext(_) => Step::Ask(CLEARTEXT, Vec::new()),
            State::Md5 { salt, .. } => Step::Ask(MD5, salt.to_vec()),
            State::Sasl { .. } => {
                let plus = self.binding.as_ref().map(|_| scram::MECHANISM_PLUS);
                let offered = plus.into_iter().chain([scram::MECHANISM]);
                let mut mechanisms = String::new();
                for mechanism in offered {
                    mechanisms.extend([mechanism, "\0"]);
                }
                mechanisms.push('\0');
                Step::Ask(SASL, mechanisms.into_bytes())
            }
            State::ServerFirst(_) | State::Over => Step::Denied,
        }
    }

    /// Whether judging the next answer takes milliseconds of computing.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.state, State::Cleartext(Some(Form::Scram(_))))
    }

    /// Judges an answer: the body of a PasswordMessage or SASL response.
    pub(crate) fn answer(&mut self, body: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Cleartext(form) => match password(body) {
                Some(password) => decide(is_password(form.as_ref(), password)),
                None => Step::Malformed(MALFORMED_PASSWORD),
            },
            State::Md5 { expected, .. } => match password(body) {
                Some(given) => {
                    let nobody = "md5";
                    let right = scram::same(
                        expected.as_deref().unwrap_or(nobody).as_bytes(),
                        given.as_bytes(),
                    );
                    decide(right && expected.is_some())
                }
                None => Step::Malformed(MALFORMED_PASSWORD),
            },
            State::Sasl { verifier, pretended } => match initial_response(body) {
                Some((mechanism, message)) => {
                    self.sasl_first(verifier, pretended, mechanism, message)
                }
                None => Step::Malformed(UNKNOWN_MECHANISM),
            },
            State::ServerFirst(state) => match state.finish(body) {
                Ok(Some(last)) => Step::Accepted(Some((SASL_FINAL, last.into_bytes()))),
                Ok(None) => Step::Denied,
                Err(Malformed(why)) => Step::Malformed(why),
            },
            State::Trusted(_) | State::Over => Step::Malformed("nothing was asked"),
        }
    }

    fn sasl_first(
        &mut self,
        verifier: Verifier,
        pretended: bool,
        mechanism: &[u8],
        message: &[u8],
    ) -> Step {
        let plus = mechanism == scram::MECHANISM_PLUS.as_bytes();
        let binding = match &self.binding {
            Some(data) if plus => Binding::To(data),
            Some(_) => Binding::Declined,
            None if plus => return Step::Malformed(UNKNOWN_MECHANISM),
            None => Binding::Impossible,
        };
        match ServerFirst::new(verifier, pretended, binding, message) {
            Ok((state, reply)) => {
                self.state = State::ServerFirst(Box::new(state));
                Step::Ask(SASL_CONTINUE, reply.into_bytes())
            }
            Err(Malformed(why)) => Step::Malformed(why),
        }
    }
}

const UNKNOWN_MECHANISM: &str = "client selected an invalid SASL authentication mechanism";
const MALFORMED_PASSWORD: &str = "malformed password message";

fn decide(accepted: bool) -> Step {
    if accepted { Step::Accepted(None) } else { Step::Denied }
}

/// A password message holds one text and its NUL.
fn password(body: &[u8]) -> Option<&str> {
    let text = body.strip_suffix(&[0])?;
    std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'))
}

/// The mechanism and the client's first SCRAM message, from a SASLInitialResponse.
fn initial_response(mut body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mechanism = crate::message::take_cstr(&mut body)?;
    let len = u32::from_be_bytes(crate::message::take(&mut body)?) as usize;
    let is_known =
        [scram::MECHANISM, scram::MECHANISM_PLUS].iter().any(|known| mechanism == known.as_bytes());
    (is_known && body.len() == len).then_some((mechanism, body))
}

/// `md5` and the hexadecimal MD5 of a stored hash and the salt.
fn salted(hash: &str, salt: [u8; 4]) -> String {
    format!("md5{}", md5_hex(&[hash.as_bytes(), &salt]))
}

fn md5_hex(parts: &[&[u8]]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this is the password that was stored in some form. An empty one is nobody's.
fn is_password(form: Option<&Form>, given: &str) -> bool {
    let right = match form {
        Some(Form::Plain(password)) => scram::same(password.expose().as_bytes(), given.as_bytes()),
        Some(Form::Md5(hash_and_user)) => {
            let (hash, user) = hash_and_user.split_at(hash_and_user.len().min(32));
            scram::same(hash.as_bytes(), md5_hex(&[given.as_bytes(), user.as_bytes()]).as_bytes())
        }
        Some(Form::Scram(verifier)) => matches_verifier(verifier, given),
        // Compared all the same, for the time that it takes.
        None => scram::same(NOBODYS.as_bytes(), given.as_bytes()) & given.is_empty(),
    };
    right && !given.is_empty()
}

const NOBODYS: &str = "nobody has this password";

/// Plays both sides of the exchange.
fn matches_verifier(verifier: &Verifier, given: &str) -> bool {
    let mut client = ScramSha256::new(given.as_bytes(), ChannelBinding::unsupported());
    let Ok((server, first)) =
        ServerFirst::new(verifier.clone(), false, Binding::Impossible, client.message())
    else {
        return false;
    };
    client.update(first.as_bytes()).is_ok()
        && matches!(server.finish(client.message()), Ok(Some(_)))
}
