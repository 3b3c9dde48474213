//! What the system says of this process; nothing where there is no `/proc`.

use std::fs;

/// Clock ticks a second in `/proc/self/stat`, on every Linux.
const TICKS: f64 = 100.0;

/// What it takes of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProcessFigures {
    pub(super) resident_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_files: Option<u64>,
}

impl ProcessFigures {
    /// At this moment.
    pub(super) fn read() -> Self {
        Self {
            resident_bytes: resident_bytes(),
            cpu_seconds: cpu_seconds(),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// In the program and in the system for it.
#[allow(clippy::cast_precision_loss, reason = "hundredths of seconds")]
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name is in parentheses, and may hold anything. The state comes behind it, then ten
    // numbers, then these two.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_takes_something() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes.is_some_and(|bytes| bytes > 100_000), "{figures:?}");
        assert!(figures.open_files.is_some_and(|files| files >= 3), "{figures:?}");
        assert!(figures.cpu_seconds.is_some_and(|seconds| seconds >= 0.0), "{figures:?}");
    }
}
