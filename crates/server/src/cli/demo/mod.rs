//! `rr-pgpool demo`: a throw-away PostgreSQL with sample data behind the default ports.

mod cluster;
mod programs;

use std::process::ExitCode;

use clap::Args;

use super::{FAILED, output, serve};
use crate::config::{BackendConfig, Config, ListenAddress};
use cluster::Cluster;

#[derive(Args)]
pub(super) struct DemoArgs {
    /// RPC address to serve on
    #[arg(long, default_value = "tcp://127.0.0.1:6002")]
    listen: ListenAddress,
}

pub(super) fn run(args: &DemoArgs) -> ExitCode {
    output::line("Starting a throw-away PostgreSQL ...");
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(error) => return output::fail(error, FAILED),
    };
    let mut config = Config::default();
    config.backends.primary = BackendConfig::from_dsn(cluster.dsn());
    config.rpc.listen = args.listen.clone();
    if let Err(error) = config.validate() {
        return output::fail(error, FAILED);
    }
    announce(&cluster, &args.listen.to_string());
    // Ctrl-C ends serving; the cluster goes with this scope.
    let code = serve::serve_config(&config);
    output::line("Removing the throw-away PostgreSQL ...");
    drop(cluster);
    code
}

fn announce(cluster: &Cluster, address: &str) {
    output::line(format_args!(
        "PostgreSQL {} with sample data (tables users, orders) in {}\n\
         goridge RPC on {address}\n\n\
         Try, in another terminal:\n  \
         rr-pgpool health --address {address}\n  \
         rr-pgpool exec --address {address} 'SELECT * FROM users ORDER BY id LIMIT 5'\n  \
         rr-pgpool exec --address {address} 'SELECT count(*) FROM orders WHERE user_id = $1' 1\n  \
         rr-pgpool stats --address {address}\n  \
         PGPOOL_RPC={address} php examples/php/demo.php\n\n\
         Ctrl-C ends it and removes everything.\n",
        cluster.version(),
        cluster.directory().display(),
    ));
}
