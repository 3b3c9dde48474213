//! `rr-pgpool demo`: a throw-away PostgreSQL with sample data behind the default address.

mod account;
mod cluster;
mod error;
mod programs;
mod scratch;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use pool_manager::config::GoDuration;

use super::{FAILED, output, serve};
use crate::config::{Config, ListenAddress, LogLevel, OptionalAddress};
use crate::listen::BoundListener;
use crate::notify::Notifier;
use crate::serve::{Server, serve_until};
use crate::signals::Signals;
use cluster::{Cluster, DATABASE, PORT, USER};
use error::DemoError;

/// Exit code of a process that SIGINT ended, as shells report it.
const INTERRUPTED: u8 = 130;
/// A client that stays connected does not hold up the end for longer.
const GRACE: GoDuration = GoDuration::from_secs(1);
/// Where a checkout has its PHP script.
const PHP_SCRIPT: &str = "examples/php/demo.php";

#[derive(Args)]
pub(super) struct DemoArgs {
    /// RPC address to serve on: tcp://host:port (port 0: any free one) or unix://path
    #[arg(long, env = "PGPOOL_RPC", value_name = "ADDRESS", default_value_t = default_address())]
    listen: ListenAddress,
    /// Address for PostgreSQL clients: tcp://host:port, unix://path, or '' for none
    #[arg(long, value_name = "ADDRESS", default_value_t = default_proxy_address())]
    proxy: OptionalAddress,
}

fn default_address() -> ListenAddress {
    Config::default().rpc.listen
}

fn default_proxy_address() -> OptionalAddress {
    Config::default().proxy.address
}

pub(super) fn run(args: &DemoArgs) -> ExitCode {
    let config = config(args.listen.clone(), args.proxy.clone());
    let result = serve::with_runtime(&config, demo(config.clone()));
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(DemoError::Interrupted)) => ExitCode::from(INTERRUPTED),
        Ok(Err(error)) => output::fail(error, FAILED),
        Err(error) => output::fail(format_args!("cannot start: {error}"), FAILED),
    }
}

fn config(listen: ListenAddress, proxy: OptionalAddress) -> Config {
    let mut config = Config::default();
    config.rpc.listen = listen;
    config.proxy.address = proxy;
    config.shutdown.grace = GRACE;
    // What is worth saying about a start the demo says itself.
    config.logging.level = LogLevel::Warn;
    config
}

async fn demo(mut config: Config) -> Result<(), DemoError> {
    config.rpc.validate().map_err(|error| error.within("rpc"))?;
    config.proxy.validate().map_err(|error| error.within("proxy"))?;
    // Found out before a cluster is made for nothing; serving binds them again.
    let (address, mode) = (&config.rpc.listen, config.rpc.file_mode.bits());
    drop(BoundListener::bind("--listen", address, mode).await?);
    if let Some(address) = config.proxy.address.get() {
        drop(BoundListener::bind("--proxy", address, config.proxy.file_mode.bits()).await?);
    }
    let mut signals = Signals::new(None).map_err(DemoError::Signals)?;
    output::line("Starting a throw-away PostgreSQL with sample data ...");
    let cluster = tokio::select! {
        started = Cluster::start() => started?,
        _ = signals.next() => {
            output::line("Interrupted; nothing is left of it.");
            return Err(DemoError::Interrupted);
        }
    };
    let primary = &mut config.backends.primary;
    primary.host = Some(cluster.socket_directory().display().to_string());
    primary.port = Some(PORT);
    primary.user = Some(USER.to_owned());
    primary.database = Some(DATABASE.to_owned());
    let notifier = Notifier::none();
    serve_until(&config, None, signals, notifier, |server| announce(&cluster, server)).await?;
    output::line("Removing PostgreSQL and its data ...");
    drop(cluster);
    Ok(())
}

/// Says where everything is. scripts/demo.sh waits for the last line.
fn announce(cluster: &Cluster, server: &Server) {
    let address = server.address().unwrap_or_default();
    let program = std::env::args().next().map_or("rr-pgpool".to_owned(), |word| quoted(&word));
    let directory = quoted(&cluster.socket_directory().display().to_string());
    output::line(format_args!(
        "\nrr-pgpool serves goridge RPC on {address}\n\
         in front of PostgreSQL {} with the tables users and orders, in {directory}\n\n\
         Try, in another terminal:\n",
        cluster.version(),
    ));
    if address != default_address().to_string() {
        output::line(format_args!("  export PGPOOL_RPC={}", quoted(&address)));
    }
    output::line(format_args!(
        "  {program} health\n  \
         {program} exec 'SELECT * FROM users ORDER BY id LIMIT 5'\n  \
         {program} exec 'SELECT count(*), sum(total) FROM orders WHERE user_id = $1' 7\n  \
         {program} stats"
    ));
    if Path::new(PHP_SCRIPT).is_file() {
        output::line(format_args!("  php {PHP_SCRIPT}"));
    }
    if let Some(client) = server.proxy_address().and_then(|address| psql_host(&address)) {
        output::line(format_args!("  psql {client} -U {USER} {DATABASE}    # through the pool"));
    }
    output::line(format_args!(
        "  psql -h {directory} -U {USER} {DATABASE}    # past the pool\n\n\
         Ctrl-C ends it and removes everything.\n"
    ));
}

/// How psql is told a TCP address. It finds no Unix socket that is not named as the server's are.
fn psql_host(address: &str) -> Option<String> {
    let (host, port) = address.strip_prefix("tcp://")?.rsplit_once(':')?;
    Some(format!("-h {} -p {port}", host.trim_matches(['[', ']'])))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.:_-@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("tcp://127.0.0.1:6002"), "tcp://127.0.0.1:6002");
        assert_eq!(quoted("/tmp/a b/rr"), "'/tmp/a b/rr'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[tokio::test]
    async fn an_address_in_use_is_said_before_anything_is_started() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let error = demo(config(ListenAddress::tcp("127.0.0.1", port), OptionalAddress::OFF))
            .await
            .unwrap_err();
        assert!(matches!(error, DemoError::Taken { .. }), "{error:?}");
        assert!(error.to_string().contains("--listen"), "{error}");
        let proxy = ListenAddress::tcp("127.0.0.1", port).into();
        let config = config(ListenAddress::tcp("127.0.0.1", 0), proxy);
        let error = demo(config).await.unwrap_err();
        assert!(error.to_string().contains("--proxy"), "{error}");
    }

    #[tokio::test]
    async fn an_address_for_everybody_is_refused() {
        let error =
            demo(config(ListenAddress::tcp("0.0.0.0", 0), OptionalAddress::OFF)).await.unwrap_err();
        assert!(matches!(error, DemoError::Setting(_)), "{error:?}");
    }
}
