//! `rr-pgpool completions` and `rr-pgpool man`: what packages install beside the program, made from
//! the command line's own description.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, FAILED, output};

/// The program's name.
const NAME: &str = "rr-pgpool";

/// For which shell.
#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell to write them for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Where to.
#[derive(Args)]
pub(super) struct ManArgs {
    /// Directory for the pages, which must exist
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

pub(super) fn man(args: &ManArgs) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), &args.directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(
            format_args!("cannot write manual pages to {}: {error}", args.directory.display()),
            FAILED,
        ),
    }
}
