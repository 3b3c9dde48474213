//! `proxy.users`: who may connect, as a password alone or with what holds for the user.

use std::borrow::Cow;
use std::fmt;

use ipnet::IpNet;
use pgwire_proxy::{Credential, User};
use pool_manager::Secret;
use pool_manager::config::SettingError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Longest user name; PostgreSQL cuts longer ones.
const MAX_USER_NAME: usize = 63;
/// Most networks of one user.
const MAX_NETWORKS: usize = 100;

/// A user: its password, or that and more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserConfig {
    /// A password, a SCRAM verifier or an MD5 hash.
    pub password: Secret,
    /// The role that its sessions take on with SET ROLE.
    pub role: String,
    /// The role that a pool of its own logs in as.
    pub server_user: String,
    /// That role's password.
    pub server_password: Secret,
    /// Most connections of the pool of its own; 0 = as many as the backend's pool.
    pub max_connections: u32,
    /// Most clients of it at the same time; 0 = no limit of its own.
    pub max_clients: u32,
    /// Where it may connect from; empty = anywhere.
    pub networks: Vec<String>,
}

/// A user of whom more than the password is said.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "UserConfig", default, deny_unknown_fields)]
#[schemars(rename = "UserConfig")]
struct Detailed {
    /// A password, a SCRAM verifier (SCRAM-SHA-256$...) or an MD5 hash.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "String")]
    password: Secret,
    /// The role that its sessions take on with SET ROLE.
    role: String,
    /// The role that a pool of its own logs in as.
    server_user: String,
    /// That role's password.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "String")]
    server_password: Secret,
    /// Most connections of the pool of its own; 0 = as many as the backend's pool.
    max_connections: u32,
    /// Most clients of it at the same time; 0 = no limit of its own.
    max_clients: u32,
    /// Networks that it may connect from, such as 10.0.0.0/8; empty = anywhere.
    networks: Vec<String>,
}

fn masked<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(secret)
}

impl Serialize for UserConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = Self { password: self.password.clone(), ..Self::default() };
        if *self == plain {
            return serializer.collect_str(&self.password);
        }
        Detailed::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for UserConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserVisitor)
    }
}

struct UserVisitor;

impl<'de> Visitor<'de> for UserVisitor {
    type Value = UserConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password, or a map with password, role, networks and so on")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<UserConfig, E> {
        Ok(UserConfig { password: Secret::new(text), ..UserConfig::default() })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<UserConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<UserConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UserConfig, A::Error> {
        Detailed::deserialize(de::value::MapAccessDeserializer::new(map))
    }
}

impl JsonSchema for UserConfig {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UserConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let detailed = generator.subschema_for::<Detailed>();
        json_schema!({ "anyOf": [{ "type": "string" }, detailed] })
    }
}

impl UserConfig {
    /// Checks what is said of the user of that name; `needs_password`: it is asked for one.
    ///
    /// # Errors
    /// The first wrong setting.
    pub(super) fn validate(&self, name: &str, needs_password: bool) -> Result<(), SettingError> {
        let wrong = |key: &str, reason: &str| Err(SettingError::new(key, reason));
        match name.len() {
            0 => return wrong(name, "a user needs a name"),
            length if length > MAX_USER_NAME => {
                return wrong(name, "a user's name has at most 63 bytes");
            }
            _ => {}
        }
        if needs_password && self.password.expose().is_empty() {
            return wrong(name, "the password is empty; nobody could log in with it");
        }
        let within = |error: SettingError| Err(error.within(name));
        if self.server_user.is_empty() && !self.server_password.expose().is_empty() {
            return within(SettingError::new("server_password", "is set without server_user"));
        }
        if self.server_user.is_empty() && self.max_connections > 0 {
            let reason = "is for a pool of the user's own, which needs server_user";
            return within(SettingError::new("max_connections", reason));
        }
        if self.networks.len() > MAX_NETWORKS {
            return within(SettingError::new("networks", format!("more than {MAX_NETWORKS}")));
        }
        match self.networks() {
            Ok(_) => Ok(()),
            Err(error) => within(error),
        }
    }

    /// IPv4 addresses within IPv6 are the same as IPv4 addresses, and matched as those.
    fn networks(&self) -> Result<Vec<IpNet>, SettingError> {
        let read = |text: &String| {
            let address = || text.parse().ok().map(|address: std::net::IpAddr| address.into());
            let network = text.parse().ok().or_else(address);
            network.filter(|network| !is_mapped(network)).ok_or_else(|| {
                let shown: String = text.chars().take(64).collect();
                let reason =
                    format!("{shown:?} is no network; write 10.0.0.0/8, fd00::/8 or an address");
                SettingError::new("networks", reason)
            })
        };
        self.networks.iter().map(read).collect()
    }

    /// The same for the door.
    ///
    /// # Errors
    /// The stored password is damaged, or of no use in this mode.
    pub(super) fn user(
        &self,
        name: &str,
        mode: pgwire_proxy::AuthMode,
    ) -> Result<User, SettingError> {
        let refuse =
            |error: pgwire_proxy::BadCredential| SettingError::new(name, error.to_string());
        let credential = match self.password.expose() {
            "" => None,
            _ => {
                let credential = Credential::stored(name, &self.password).map_err(refuse)?;
                credential.check(mode, name).map_err(refuse)?;
                Some(credential)
            }
        };
        Ok(User {
            role: Some(self.role.clone()).filter(|role| !role.is_empty()),
            networks: self.networks()?,
            max_clients: Some(self.max_clients as usize).filter(|most| *most > 0),
            ..User::new(name.to_owned(), credential)
        })
    }
}

/// Whether it lies within `::ffff:0:0/96`, where no address is looked for.
fn is_mapped(network: &IpNet) -> bool {
    matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some())
}
