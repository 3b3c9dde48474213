//! What packages install beside the program: completions and manual pages.

use super::support::{run, stderr, stdout};

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success(), "{}", stderr(&output));
        let script = stdout(&output);
        for word in ["serve", "check-config", "health", "stats", "exec", "demo"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = run(&["completions", "cmd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("bash"), "it says which there are: {}", stderr(&output));
}

#[test]
fn each_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let output = run(&["man", path]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(page("rr-pgpool.1").contains("rr\\-pgpool\\-check\\-config(1)"));
    assert!(page("rr-pgpool-serve.1").contains("exit\\-with\\-parent"));
    let output = run(&["man", "/nonexistent/directory"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent/directory"), "{}", stderr(&output));
}
