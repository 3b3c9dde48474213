//! Pools by database name: the Go plugin's GetPool.

use std::collections::BTreeMap;

use crate::DatabasePool;
use crate::error::Error;

/// The name that requests mean when they name none.
pub const PRIMARY: &str = "primary";

/// All pools of a process, by name.
#[derive(Clone, Default)]
pub struct PoolRegistry {
    pools: BTreeMap<String, DatabasePool>,
}

impl PoolRegistry {
    /// A registry of these pools.
    pub fn new(pools: impl IntoIterator<Item = DatabasePool>) -> Self {
        let pools = pools.into_iter().map(|pool| (pool.name().to_owned(), pool)).collect();
        Self { pools }
    }

    /// The pool of that name.
    ///
    /// # Errors
    /// [`Error::UnknownDatabase`] naming those that exist.
    pub fn get_pool(&self, name: &str) -> Result<&DatabasePool, Error> {
        self.pools.get(name).ok_or_else(|| Error::UnknownDatabase {
            name: name.chars().take(64).collect(),
            known: self.pools.keys().cloned().collect::<Vec<_>>().join(", "),
        })
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
}
