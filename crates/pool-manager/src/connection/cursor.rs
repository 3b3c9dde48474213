//! Portals that are read a few rows at a time. They live in a transaction, and end with it.

use std::sync::Arc;
use std::time::Duration;

use super::ServerConnection;
use super::execute::{ExecuteError, Execution, SendSink};
use super::extended::{Replies, not_executed, write_params};
use crate::engine::tag;
use crate::server_error::ServerError;
use crate::values::Columns;

impl ServerConnection {
    /// Binds a statement to a portal, within `limit`; nothing of it runs yet. `None`: it returns no
    /// rows, and there is no portal.
    pub(crate) async fn open_portal_within(
        &mut self,
        portal: &str,
        what: &Execution<'_>,
        limit: Option<Duration>,
    ) -> Result<Option<Arc<Columns>>, ExecuteError> {
        let Some(limit) = limit else { return self.open_portal(portal, what).await };
        self.canceller().run(limit, self.open_portal(portal, what)).await
    }

    async fn open_portal(
        &mut self,
        portal: &str,
        what: &Execution<'_>,
    ) -> Result<Option<Arc<Columns>>, ExecuteError> {
        self.will_execute(what.class);
        let statement = self.prepare(what).await?;
        statement.check_count(what.args)?;
        if statement.columns.is_none() {
            return Ok(None);
        }
        self.link
            .request()
            .bind_portal(portal, &statement.name, what.args.len(), &statement.formats, |out| {
                write_params(&statement, what.args, out)
            })?
            .sync();
        let error = self.read_acknowledgement().await?;
        let Some(error) = error else { return Ok(statement.columns.clone()) };
        if super::extended::is_stale(&error) {
            // The transaction is lost; the next one must work.
            self.forget_text(what.sql);
        }
        Err(ExecuteError::Server(error))
    }

    /// Fetches up to `count` rows, within `limit`; `true` when there are no more.
    pub(crate) async fn fetch_portal_within(
        &mut self,
        portal: &str,
        columns: &Arc<Columns>,
        count: i32,
        sink: &mut dyn SendSink,
        limit: Option<Duration>,
    ) -> Result<bool, ExecuteError> {
        let Some(limit) = limit else {
            return self.fetch_portal(portal, columns, count, sink).await;
        };
        self.canceller().run(limit, self.fetch_portal(portal, columns, count, sink)).await
    }

    async fn fetch_portal(
        &mut self,
        portal: &str,
        columns: &Arc<Columns>,
        count: i32,
        sink: &mut dyn SendSink,
    ) -> Result<bool, ExecuteError> {
        let changes = self.link.parameter_changes();
        sink.begin(columns)?;
        self.link.request().execute_portal(portal, count)?.sync();
        let mut replies = Replies::default();
        while self.next_reply(Some(columns), sink, &mut replies).await? {}
        // What looks like a query may have called what sets something.
        self.dirty |= self.link.parameter_changes() != changes;
        self.link.shrink();
        let suspended = replies.is_suspended();
        replies.into_result().map(|_| !suspended)
    }

    /// Closes a portal before its end.
    pub(crate) async fn close_portal(&mut self, portal: &str) -> Result<(), ExecuteError> {
        self.link.request().close_portal(portal)?.sync();
        let error = self.read_acknowledgement().await?;
        error.map_or(Ok(()), |error| Err(ExecuteError::Server(error)))
    }

    /// Reads up to ReadyForQuery what has no rows: the error in it, if there is one.
    async fn read_acknowledgement(&mut self) -> Result<Option<Box<ServerError>>, ExecuteError> {
        let mut error = None;
        loop {
            let frame = self.link.next().await.map_err(not_executed)?;
            match frame.tag {
                tag::ERROR_RESPONSE => error = Some(Box::new(ServerError::from_body(frame.body))),
                tag::READY_FOR_QUERY => return Ok(error),
                tag::BIND_COMPLETE | tag::CLOSE_COMPLETE => {}
                _ => return Err(not_executed(self.link.out_of_step())),
            }
        }
    }
}
