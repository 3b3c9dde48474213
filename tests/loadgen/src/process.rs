//! What Linux tells about a process under /proc: CPU time and resident memory. It never looks at
//! a process that was not named.

use std::io;
use std::process::Command;
use std::time::Duration;

/// CPU time, user and system, that the processes have used since they started, all their threads
/// included; zero for no process.
pub(crate) fn cpu_time(pids: &[u32]) -> io::Result<Duration> {
    if pids.is_empty() {
        return Ok(Duration::ZERO);
    }
    let per_second = ticks_per_second();
    let mut ticks = 0;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        ticks += cpu_ticks(&stat).ok_or_else(|| unreadable(*pid))?;
    }
    Ok(Duration::from_secs_f64(ticks as f64 / per_second))
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

/// Fields 14 and 15; counted after the command's closing parenthesis, as it may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The unit of /proc/PID/stat; 100 on every common machine.
fn ticks_per_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
}

fn unreadable(pid: u32) -> io::Error {
    io::Error::other(format!("cannot make sense of /proc/{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_an_odd_command_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 120 34 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(154));
        assert_eq!(cpu_ticks("7 (cut"), None);
        assert_eq!(vm_rss("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert_eq!(vm_rss("Name:\tx\n"), None);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let own = [std::process::id()];
        assert!(resident_kib(&own).unwrap() > 0);
        assert!(cpu_time(&own).is_ok());
        assert_eq!(cpu_time(&[]).unwrap(), Duration::ZERO);
    }
}
