//! The `rr-pgpool` binary: see the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rr_pgpool::cli::main()
}
