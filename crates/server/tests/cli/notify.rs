//! What systemd is told of a server, with a socket of the test's in its place.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::Serving;

/// No database is needed to be told that the server serves.
const DSN: &str = "postgres://app:secret@127.0.0.1:1/none";

/// Stands for systemd.
struct Manager {
    socket: UnixDatagram,
    path: String,
    _directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket, path: path.display().to_string(), _directory: directory }
    }

    /// What it is told next.
    fn told(&self) -> String {
        let mut buffer = [0; 1024];
        let len = self.socket.recv(&mut buffer).expect("the manager is told something");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let manager = Manager::new();
    let more = "  shutdown: {grace: 10s}\n";
    let mut serving = Serving::start_in(DSN, more, &[("NOTIFY_SOCKET", &manager.path)]);
    let ready = manager.told();
    assert!(ready.starts_with("READY=1\nSTATUS=Serving at unix://"), "{ready}");
    assert!(!ready.contains("secret"), "{ready}");
    serving.process.signal("TERM");
    let stopping = manager.told();
    // Longer than the grace: else systemd would end a server that still drains.
    assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\n"), "{stopping}");
    assert_eq!(serving.process.wait().code(), Some(0));
}

#[test]
fn a_watchdog_is_fed_for_as_long_as_it_serves() {
    let manager = Manager::new();
    let env = [("NOTIFY_SOCKET", manager.path.as_str()), ("WATCHDOG_USEC", "20000")];
    let _serving = Serving::start_in(DSN, "", &env);
    assert!(manager.told().starts_with("READY=1"));
    for _ in 0..5 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }
}

#[test]
fn without_a_manager_that_can_be_told_it_serves_all_the_same() {
    let serving = Serving::start_in(DSN, "", &[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    assert!(serving.log().contains("cannot notify the service manager"), "{}", serving.log());
}
