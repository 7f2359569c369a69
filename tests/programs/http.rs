//! The example `http_get` against servers that are not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{TempDir, Watchdog, assert_success};
use crate::program::{self, lines};
use crate::tool::{self, is_there};

/// What `server.py` calls `LARGE`.
fn large() -> Vec<u8> {
    let once = (0..300_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]);
    once.collect::<Vec<_>>().repeat(10)
}

#[test]
fn http_get_reads_each_body_of_python() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let path = dir.join("http");
    let path = path.to_str().unwrap();
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/server.py")).arg(path);
    let server = program::Running::spawn(python);
    assert_eq!(server.line(), "listening");
    for target in ["/length", "/chunks", "/close"] {
        let output = program::run("http_get", &[path, target, "--timeout", "10"]);
        assert_success(&output);
        assert!(output.stdout == large(), "{target}: {} bytes", output.stdout.len());
    }
    let output = program::run("http_get", &[path, "/nothing"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "http_get: the server answers 404 Not Found\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("404"), "the page is printed too");
}

#[test]
fn http_get_reads_what_a_script_of_socat_answers() {
    if !is_there("socat", "-V") {
        return;
    }
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let script = dir.join("answer");
    let text = "#!/bin/sh\n\
        read -r method target version\n\
        while read -r line && [ \"$line\" != \"$(printf '\\r')\" ]; do :; done\n\
        printf 'HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n%s %s\\n' \"$method\" \"$target\"\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (path, script) = (dir.join("http"), script.to_str().unwrap().to_string());
    let path = path.to_str().unwrap();
    let mut socat = Command::new("socat");
    socat.args([format!("UNIX-LISTEN:{path},fork"), format!("EXEC:{script}")]);
    let server = tool::Running::start(&mut socat, Vec::new());
    tool::when_there(|| afunix::UnixStream::connect(&program::parse(path)));
    for target in ["/version", "/a%20b?c=d"] {
        let output = program::run("http_get", &[path, target, "--timeout", "10"]);
        assert_eq!(lines(&output), [format!("GET {target}")]);
    }
    drop(server);
}
