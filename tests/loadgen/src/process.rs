//! What Linux tells about a process under /proc: CPU time and resident memory. It never looks at
//! a process that was not named.

use std::io;
use std::time::Duration;

/// CPU time, user and system, that the threads of these processes have used since they started;
/// zero for no process. From `schedstat`, which counts nanoseconds where `stat` counts clock ticks.
pub(crate) fn cpu_time(pids: &[u32]) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            sum += running_time(&stat).ok_or_else(|| unreadable(*pid))?;
        }
    }
    Ok(sum)
}

/// Resident memory of the processes together, in KiB (VmRSS).
pub(crate) fn resident_kib(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        sum += vm_rss(&status).ok_or_else(|| unreadable(*pid))?;
    }
    Ok(sum)
}

/// The first field.
fn running_time(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn unreadable(pid: u32) -> io::Error {
    io::Error::other(format!("cannot make sense of /proc/{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(running_time("1500 77 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(running_time(""), None);
        assert_eq!(vm_rss("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert_eq!(vm_rss("Name:\tx\n"), None);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let own = [std::process::id()];
        assert!(resident_kib(&own).unwrap() > 0);
        assert!(cpu_time(&own).unwrap() > Duration::ZERO);
        assert_eq!(cpu_time(&[]).unwrap(), Duration::ZERO);
    }
}
