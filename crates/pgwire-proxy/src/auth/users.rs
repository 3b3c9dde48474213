//! Who may use a database, what is known of them, and what holds for each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use pool_manager::Error;

use super::credential::{BadCredential, Credential, Form};
use super::exchange::Exchange;
use super::lookup::UserLookup;
use super::{AuthMode, Pretence};
use crate::limit::ClientLimit;

/// A user who is named in the configuration.
#[derive(Debug, Clone)]
pub struct User {
    /// By which it logs in.
    pub name: String,
    /// What is known of its password; `None` where none is asked for.
    pub credential: Option<Credential>,
    /// The role that its sessions take on, as SET ROLE does.
    pub role: Option<String>,
    /// Where it may connect from; anywhere when empty. Unix-domain sockets always will do.
    pub networks: Vec<IpNet>,
    /// Most clients of it at the same time.
    pub max_clients: Option<usize>,
}

impl User {
    /// A user of whom nothing but the password is known.
    #[must_use]
    pub fn new(name: String, credential: Option<Credential>) -> Self {
        Self { name, credential, role: None, networks: Vec::new(), max_clients: None }
    }
}

/// What holds for one user besides the proof.
#[derive(Debug)]
pub(crate) struct UserRules {
    pub(crate) role: Option<String>,
    pub(crate) limit: Arc<ClientLimit>,
    networks: Vec<IpNet>,
}

impl UserRules {
    /// Whether it may connect from there.
    pub(crate) fn allows(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.map(|address| address.to_canonical()) else { return true };
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }
}

#[derive(Debug, Clone)]
struct Known {
    credential: Option<Credential>,
    rules: Arc<UserRules>,
}

/// The users of one database, and how they prove it.
#[derive(Debug, Clone)]
pub struct Users {
    mode: AuthMode,
    known: HashMap<String, Known>,
    lookup: Option<Arc<UserLookup>>,
    pretence: Pretence,
}

/// Somebody who says that it is a user: what it has to prove.
pub(crate) struct Claim {
    pub(crate) exchange: Exchange,
    /// Of users who are named in the configuration.
    pub(crate) rules: Option<Arc<UserRules>>,
}

impl Users {
    /// Users by name; passwords in clear text are turned into what `mode` needs, which takes a few
    /// milliseconds each. Who is not among them is looked for with `lookup`.
    ///
    /// # Errors
    /// A stored form of a password that cannot be used in this mode, with the user's name.
    pub fn new(
        mode: AuthMode,
        users: impl IntoIterator<Item = User>,
        lookup: Option<UserLookup>,
    ) -> Result<Self, BadCredential> {
        let mut known = HashMap::new();
        for user in users {
            let credential = user.credential.map(|it| it.prepared_for(mode, &user.name));
            let rules = Arc::new(UserRules {
                role: user.role,
                limit: ClientLimit::new(user.max_clients),
                networks: user.networks,
            });
            known.insert(user.name, Known { credential: credential.transpose()?, rules });
        }
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        let is_slow = |known: &Known| {
            matches!(known.credential.as_ref().map(Credential::form), Some(Form::Scram(_)))
        };
        // What is looked up mostly is a verifier.
        let slow = lookup.is_some() || known.values().any(is_slow);
        let lookup = lookup.map(Arc::new);
        Ok(Self { mode, known, lookup, pretence: Pretence { key, slow } })
    }

    /// Counts the clients of users that were known before where those were counted.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        for (name, known) in &mut self.known {
            let Some(old) = before.known.get(name) else { continue };
            let rules = &known.rules;
            old.rules.limit.become_as(&rules.limit);
            known.rules = Arc::new(UserRules {
                role: rules.role.clone(),
                limit: Arc::clone(&old.rules.limit),
                networks: rules.networks.clone(),
            });
        }
    }

    /// Those who are named, each with its limit.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &ClientLimit)> {
        self.known.iter().map(|(name, known)| (name.as_str(), &*known.rules.limit))
    }

    /// How users prove who they are.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// Begins to find out whether a client is the user that it says it is. `binding` is what a
    /// proof can be bound to.
    ///
    /// # Errors
    /// It is not known here, and cannot be looked for.
    pub(crate) async fn claim(
        &self,
        user: &str,
        binding: Option<Arc<[u8]>>,
    ) -> Result<Claim, Error> {
        let known = self.known.get(user);
        let found = match &self.lookup {
            Some(lookup) if known.is_none() => lookup.find(user, self.mode).await?,
            _ => None,
        };
        let credential = known.map_or(found.as_ref(), |known| known.credential.as_ref());
        let is_known = known.is_some() || found.is_some();
        let exchange =
            Exchange::new(self.mode, user, is_known, credential, &self.pretence, binding);
        Ok(Claim { exchange, rules: known.map(|known| Arc::clone(&known.rules)) })
    }

    /// Forgets what was looked up of a user whose proof was wrong: the password may have changed.
    pub(crate) fn doubt(&self, user: &str) {
        if let Some(lookup) = &self.lookup {
            lookup.forget(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_for_addresses_of_either_kind() {
        let networks = ["10.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap());
        let rules =
            UserRules { role: None, limit: ClientLimit::new(None), networks: networks.to_vec() };
        let allows = |text: &str| rules.allows(Some(text.parse().unwrap()));
        assert!(allows("10.1.2.3") && allows("::1") && allows("::ffff:10.1.2.3"));
        assert!(!allows("11.1.2.3") && !allows("::2") && !allows("::ffff:127.0.0.1"));
        assert!(rules.allows(None));
    }
}
