//! The methods of the service, one per file. Each reads its request, does its work in
//! pool-manager, and finishes its reply whatever happens.

mod cached;
mod cursor;
mod execute;
mod execute_batch;
mod health_check;
mod logged;
mod place;
mod pool_stats;
mod reload;
mod request;
mod session;
mod top_queries;
mod transaction_begin;
mod transaction_end;
mod version;

pub(super) use cursor::{cursor_close, cursor_fetch, cursor_open};
pub(super) use execute::execute;
pub(super) use execute_batch::execute_batch;
pub(super) use health_check::health_check;
pub(super) use pool_stats::pool_stats;
pub(super) use reload::reload;
pub(super) use session::{session_begin, session_end};
pub(super) use top_queries::top_queries;
pub(super) use transaction_begin::transaction_begin;
pub(super) use transaction_end::{transaction_commit, transaction_rollback};
pub(super) use version::version;
