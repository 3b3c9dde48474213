//! The one extra connection per backend for health checks and look-ups, where tokio-postgres'
//! comfortable client is at home because nothing is shared. No caller's statement ever runs on it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::Client;

use super::{ConnectError, Connector};

/// How long a look-up waits for its turn, connecting included.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may take to answer the check before a client is handed out.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no housekeeping client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HousekeepingError {
    /// The server could not be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection is there and does not answer.
    #[error("the housekeeping connection does not answer: {0}")]
    Unresponsive(String),
    /// Somebody else held it for all of the waiting time.
    #[error("the housekeeping connection was busy for {} s", TURN_TIMEOUT.as_secs())]
    Busy,
}

/// A client of the housekeeping connection. Dropping it while a query is unanswered leaves nothing
/// behind: the next check finds out and replaces the connection.
#[derive(Debug)]
pub struct HousekeepingClient {
    client: Client,
    driver: AbortHandle,
    broken: bool,
}

impl Deref for HousekeepingClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl HousekeepingClient {
    /// Gives the connection up: it is closed when handed back, not used again.
    pub fn discard(&mut self) {
        self.broken = true;
    }
}

impl Drop for HousekeepingClient {
    fn drop(&mut self) {
        // A healthy one says goodbye by itself; one in doubt might wait for an answer for ever.
        if self.broken {
            self.driver.abort();
        }
    }
}

/// Makes, checks and discards housekeeping connections for bb8.
#[derive(Debug, Clone)]
pub struct HousekeepingManager {
    connector: Connector,
    failed: Arc<LastFailure>,
}

/// bb8 keeps the reason of a failed connect from those who wait for it; this tells them, at once.
#[derive(Debug, Default)]
struct LastFailure {
    error: Mutex<Option<ConnectError>>,
    happened: Notify,
}

impl LastFailure {
    fn announce(&self, error: ConnectError) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.happened.notify_waiters();
    }

    fn get(&self) -> Option<ConnectError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ManageConnection for HousekeepingManager {
    type Connection = HousekeepingClient;
    type Error = HousekeepingError;

    async fn connect(&self) -> Result<HousekeepingClient, HousekeepingError> {
        match self.connector.connect_client().await {
            Ok((client, driver)) => {
                let driver = tokio::spawn(async move {
                    if let Err(error) = driver.await {
                        tracing::debug!(%error, "housekeeping connection ended");
                    }
                });
                let driver = driver.abort_handle();
                Ok(HousekeepingClient { client, driver, broken: false })
            }
            Err(error) => {
                self.failed.announce(error.clone());
                Err(error.into())
            }
        }
    }

    async fn is_valid(&self, client: &mut HousekeepingClient) -> Result<(), HousekeepingError> {
        // Until the answer is here the connection is in doubt, also when this future is dropped.
        client.broken = true;
        let answer = tokio::time::timeout(CHECK_TIMEOUT, client.client.simple_query("")).await;
        match answer {
            Ok(Ok(_)) => {
                client.broken = false;
                Ok(())
            }
            Ok(Err(error)) => Err(HousekeepingError::Unresponsive(error.to_string())),
            Err(_elapsed) => Err(HousekeepingError::Unresponsive(format!(
                "no answer within {} s",
                CHECK_TIMEOUT.as_secs()
            ))),
        }
    }

    fn has_broken(&self, client: &mut HousekeepingClient) -> bool {
        client.broken || client.client.is_closed()
    }
}

/// A pool of one housekeeping connection, made when first needed.
#[derive(Debug, Clone)]
pub struct Housekeeping {
    pool: Pool<HousekeepingManager>,
    failed: Arc<LastFailure>,
}

impl Housekeeping {
    /// Prepares housekeeping on the backend of `connector`; nothing is dialled yet.
    pub fn new(connector: Connector) -> Self {
        let failed = Arc::new(LastFailure::default());
        let manager = HousekeepingManager { connector, failed: Arc::clone(&failed) };
        let pool = Pool::builder()
            .max_size(1)
            .min_idle(0)
            .test_on_check_out(true)
            .connection_timeout(TURN_TIMEOUT)
            .retry_connection(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .build_unchecked(manager);
        Self { pool, failed }
    }

    /// The housekeeping client, once it is nobody else's, checked to be alive.
    ///
    /// # Errors
    /// The cause of a failed connect at once; [`HousekeepingError::Busy`] after 30 s of waiting.
    pub async fn client(
        &self,
    ) -> Result<PooledConnection<'_, HousekeepingManager>, HousekeepingError> {
        let failed = self.failed.happened.notified();
        tokio::pin!(failed);
        failed.as_mut().enable();
        tokio::select! {
            client = self.pool.get() => client.map_err(|error| match error {
                RunError::User(error) => error,
                RunError::TimedOut => HousekeepingError::Busy,
            }),
            () = failed => match self.failed.get() {
                Some(error) => Err(error.into()),
                None => Err(HousekeepingError::Busy),
            },
        }
    }
}
