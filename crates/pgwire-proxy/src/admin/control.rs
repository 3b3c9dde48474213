//! What the console asks of the process that it is part of.

use std::future::Future;
use std::pin::Pin;

/// The answer to come of a request to the process; an error says what is wrong and where.
pub type ControlFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A setting as SHOW CONFIG lists it. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value; `None`: not set.
    pub value: Option<String>,
    /// What it would be if nobody had set it.
    pub default: Option<String>,
    /// Whether SET can change it.
    pub changeable: bool,
}

/// How the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownKind {
    /// At once.
    Now,
    /// When no client has a server connection; no new client is let in.
    WaitForServers,
    /// When no client is connected; no new client is let in.
    WaitForClients,
}

/// The process around the door.
pub trait Control: Send + Sync {
    /// The settings in force.
    fn settings(&self) -> Vec<Setting>;

    /// Reads the configuration again and has it hold; what has changed, line by line.
    fn reload(&self) -> ControlFuture<'_, Vec<String>>;

    /// Changes a setting until the next reload; what has changed, line by line.
    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> ControlFuture<'a, Vec<String>>;

    /// Has the process end.
    fn shut_down(&self, kind: ShutdownKind);

    /// Rolls back what RPC callers hold of this database.
    fn end_held<'a>(&'a self, database: &'a str) -> ControlFuture<'a, ()>;

    /// Clients of the RPC door.
    fn rpc_clients(&self) -> usize;
}
