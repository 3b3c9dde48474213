//! `rr-pgpool check-config`.

use std::process::ExitCode;

use super::{FAILED, output};
use crate::config::{LoadOptions, check_config};

pub(super) fn run(options: &LoadOptions<'_>) -> ExitCode {
    match check_config(options) {
        Ok(text) => {
            output::line(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => output::fail(error, FAILED),
    }
}
