//! What a service manager is told about this process, in the datagrams of systemd's sd_notify(3):
//! that it serves, reloads, stops, and, where the manager watches for that, that it is alive.
//! Without a manager that asks for it nothing is sent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// How long a manager that does not read may hold this process up.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the end may take beyond the grace.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// Tells a service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<Manager>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// For a process that no manager waits for.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. What cannot be
    /// used is logged, and the process goes on without it.
    #[must_use]
    pub fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let Some(name) = env("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::none();
        };
        match Manager::at(&name) {
            Ok(manager) => Self { manager: Some(manager), watchdog: watchdog(env) },
            Err(error) => {
                tracing::warn!(socket = ?name, %error, "cannot notify the service manager");
                Self::none()
            }
        }
    }

    /// It serves; `status` is what `systemctl status` shows.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// It reads its configuration again; [`Notifier::ready`] says when that is done.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It stops, which takes up to `grace` and a little more.
    pub fn stopping(&self, grace: Duration) {
        let limit = (grace + LAST_STEPS).as_micros();
        let grace = grace.as_secs_f32();
        self.send(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={limit}\nSTATUS=Draining for up to {grace} s"
        ));
    }

    /// Says again and again that this process is alive, if somebody wants to know: for as long as
    /// the runtime comes to it. Cancel safe.
    pub(crate) async fn keep_alive(&self) {
        let Some(period) = self.watchdog else { return };
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        let Some(Manager { socket, address }) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(%error, "cannot notify the service manager");
        }
    }
}

impl Manager {
    fn at(name: &OsString) -> std::io::Result<Self> {
        let address = address(name.as_bytes())?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }
}

/// A path, or `@name` in Linux's abstract namespace.
fn address(name: &[u8]) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    if !name.starts_with(b"/") {
        return Err(std::io::Error::other("neither a path nor an abstract name"));
    }
    SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(name)))
}

/// How often to say that this process is alive: twice within the time that the manager waits.
fn watchdog(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name: &str| env(name)?.to_str()?.parse::<u64>().ok();
    let is_meant = match env("WATCHDOG_PID") {
        None => true,
        Some(_) => number("WATCHDOG_PID") == Some(u64::from(std::process::id())),
    };
    let limit = number("WATCHDOG_USEC").filter(|limit| is_meant && *limit > 1)?;
    Some(Duration::from_micros(limit / 2))
}

/// A line break would begin another assignment.
fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| Some(pairs.iter().find(|(key, _)| *key == name)?.1.into())
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn states_are_told_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let at_path = UnixDatagram::bind(&path).unwrap();
        let mut managers = vec![(path.display().to_string(), at_path)];
        #[cfg(target_os = "linux")]
        {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("rr-pgpool-test-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            managers.push((format!("@{name}"), UnixDatagram::bind_addr(&address).unwrap()));
        }
        for (name, manager) in managers {
            let notifier = Notifier::from_env(&env(&[("NOTIFY_SOCKET", &name)]));
            notifier.ready("two\nlines");
            assert_eq!(received(&manager), "READY=1\nSTATUS=two lines");
            notifier.reloading();
            let reloading = received(&manager);
            let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(since.parse::<u64>().unwrap() > 0, "{reloading}");
            notifier.stopping(Duration::from_secs(4));
            let stopping = received(&manager);
            assert!(
                stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=9000000\n"),
                "{stopping}"
            );
        }
    }

    #[test]
    fn without_a_manager_or_with_an_address_of_another_kind_nothing_is_told() {
        for socket in ["", "vsock:2:1234", "relative", "/nonexistent/notify"] {
            Notifier::from_env(&env(&[("NOTIFY_SOCKET", socket)])).ready("");
        }
        assert!(Notifier::from_env(&env(&[("WATCHDOG_USEC", "9")])).watchdog.is_none());
    }

    #[test]
    fn the_watchdog_is_fed_twice_in_its_time_if_it_is_ours() {
        let own = std::process::id().to_string();
        let period = |pairs: &[(&str, &str)]| watchdog(&env(pairs));
        let second = Some(Duration::from_secs(1));
        assert_eq!(period(&[("WATCHDOG_USEC", "2000000")]), second);
        assert_eq!(period(&[("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", &own)]), second);
        assert_eq!(period(&[("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", "1")]), None);
        assert_eq!(period(&[("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", "x")]), None);
        assert_eq!(period(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(period(&[("WATCHDOG_USEC", "0")]), None);
    }
}
