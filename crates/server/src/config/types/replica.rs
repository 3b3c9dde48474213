//! A replica: a backend with a weight, both on one level of keys.

use std::fmt;

use pool_manager::config::{BackendConfig, SettingError};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::suggest;

/// A backend that answers reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default)]
pub struct ReplicaConfig {
    /// Share of the reads compared with the other replicas' weights.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u32,
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendConfig,
}

impl Default for ReplicaConfig {
    fn default() -> Self {
        Self { weight: 1, backend: BackendConfig::default() }
    }
}

impl ReplicaConfig {
    /// The backend with its primary's pool and behavior where it has none of its own.
    pub fn beside(&self, primary: &BackendConfig) -> BackendConfig {
        let mut backend = self.backend.clone();
        let unsaid = BackendConfig::default();
        if backend.pool == unsaid.pool {
            backend.pool = primary.pool.clone();
        }
        if backend.behavior == unsaid.behavior {
            backend.behavior = primary.behavior.clone();
        }
        backend
    }

    /// Checks the backend and the weight.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_range("weight", self.weight, &(1..=1000))?;
        self.backend.validate()
    }
}

// By hand, because serde's `flatten` forgets which fields exist and what types they have.
impl<'de> Deserialize<'de> for ReplicaConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReplicaVisitor)
    }
}

struct ReplicaVisitor;

impl<'de> Visitor<'de> for ReplicaVisitor {
    type Value = ReplicaConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section with the keys of a backend and weight")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ReplicaConfig, A::Error> {
        let mut map = WithoutWeight { map, weight: ReplicaConfig::default().weight };
        let backend = BackendConfig::deserialize(MapAccessDeserializer::new(&mut map))?;
        Ok(ReplicaConfig { weight: map.weight, backend })
    }
}

/// Passes on every key but `weight`, whose value it keeps.
struct WithoutWeight<A> {
    map: A,
    weight: u32,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut WithoutWeight<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key == "weight" {
                self.weight = self.map.next_value::<Option<u32>>()?.unwrap_or(self.weight);
            } else if suggest::is_close(&key, "weight") {
                return Err(de::Error::unknown_field(&key, &["weight"]));
            } else {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
