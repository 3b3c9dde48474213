//! `rr-pgpool serve`.

use std::process::ExitCode;

use super::{ConfigArgs, FAILED, output};
use crate::config::Config;
use crate::reload::Source;
use crate::{logging, serve};

pub(super) fn run(args: &ConfigArgs, exit_with_parent: bool) -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    // Before anything that takes time: it must not be gone already when it is looked at.
    let parent = exit_with_parent.then(std::os::unix::process::parent_id);
    let config = match Config::load(&args.options(&env)) {
        Ok(config) => config,
        Err(error) => return output::fail(error, FAILED),
    };
    match with_runtime(&config, serve::serve(&config, Some(source(args)), parent)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => output::fail(error, FAILED),
        Err(error) => output::fail(format_args!("cannot start: {error}"), FAILED),
    }
}

/// Reads the same file again, with the same overrides.
fn source(args: &ConfigArgs) -> Source {
    let args = args.clone();
    Box::new(move || {
        let env = |name: &str| std::env::var(name).ok();
        Config::load(&args.options(&env)).map_err(|error| error.to_string())
    })
}

/// Runs `future` with the log and as many threads as `config` says.
///
/// # Errors
/// The threads cannot be had.
pub(super) fn with_runtime<F: Future>(config: &Config, future: F) -> std::io::Result<F::Output> {
    logging::start(config.logging.level, config.logging.format);
    Ok(runtime(config.threads)?.block_on(future))
}

/// One thread needs no work stealing and no wake-ups across threads.
fn runtime(threads: u16) -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { usize::from(threads) };
    if threads == 1 {
        return tokio::runtime::Builder::new_current_thread().enable_all().build();
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
