//! Databases and pools by name: the Go plugin's GetPool.

use std::collections::BTreeMap;

use crate::DatabasePool;
use crate::backends::Backends;
use crate::error::Error;

/// The name that requests mean when they name none.
pub const PRIMARY: &str = "primary";

/// All databases of a process with their servers, and all pools, by name.
#[derive(Clone, Default)]
pub struct PoolRegistry {
    databases: BTreeMap<String, Backends>,
    pools: BTreeMap<String, DatabasePool>,
}

impl PoolRegistry {
    /// A registry of databases that have one server each.
    pub fn new(pools: impl IntoIterator<Item = DatabasePool>) -> Self {
        Self::with(pools.into_iter().map(Backends::single), [])
    }

    /// A registry of these databases, and of pools that serve none of them as a whole.
    pub fn with(
        databases: impl IntoIterator<Item = Backends>,
        others: impl IntoIterator<Item = DatabasePool>,
    ) -> Self {
        let named = |database: Backends| (database.name().to_owned(), database);
        let databases: BTreeMap<_, _> = databases.into_iter().map(named).collect();
        let of_databases = databases.values().flat_map(Backends::pools).cloned();
        let pools = of_databases.chain(others).map(|pool| (pool.name().to_owned(), pool));
        Self { pools: pools.collect(), databases }
    }

    /// The database of that name.
    ///
    /// # Errors
    /// [`Error::UnknownDatabase`] naming those that exist.
    pub fn database(&self, name: &str) -> Result<&Backends, Error> {
        self.databases.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The pool of that name: the configured primary of a database, or another server of it.
    ///
    /// # Errors
    /// [`Error::UnknownDatabase`] naming those that exist.
    pub fn get_pool(&self, name: &str) -> Result<&DatabasePool, Error> {
        self.pools.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The pools that a request means: one by name, or all of them for `*`.
    pub fn select(&self, name: &str) -> Result<Vec<&DatabasePool>, Error> {
        if name == "*" {
            return Ok(self.pools.values().collect());
        }
        Ok(vec![self.get_pool(name)?])
    }

    /// Every pool.
    pub fn iter(&self) -> impl Iterator<Item = &DatabasePool> {
        self.pools.values()
    }

    /// Every database.
    pub fn databases(&self) -> impl Iterator<Item = &Backends> {
        self.databases.values()
    }

    fn unknown(&self, name: &str) -> Error {
        Error::UnknownDatabase {
            name: name.chars().take(64).collect(),
            known: self.databases.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    }
}
