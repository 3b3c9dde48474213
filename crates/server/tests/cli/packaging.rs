//! What the packages install: the configuration can be used as it is.

use super::support::{run, stderr, stdout};

#[test]
fn the_packages_configuration_is_valid_and_names_the_units_directory() {
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging");
    let file = format!("{packaging}/rr.yaml");
    let output = run(&["check-config", "-c", &file]);
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains("unix:///run/rr-pgpool/rpc.sock"), "{shown}");
    let unit = std::fs::read_to_string(format!("{packaging}/rr-pgpool.service")).unwrap();
    assert!(unit.contains("RuntimeDirectory=rr-pgpool\n"), "it makes /run/rr-pgpool");
    assert!(unit.contains("Type=notify\n") && unit.contains("ExecStart=/usr/bin/rr-pgpool serve"));
}
