//! What both servers, and both clients, say and do alike.

use std::path::Path;

use afunix::{UnixDatagram, UnixListener, UnixStream};

use crate::program::*;

#[test]
fn servers_stop_at_a_signal_and_remove_their_file() {
    for (name, signal) in [
        ("echo_server", libc::SIGINT),
        ("echo_server", libc::SIGTERM),
        ("datagram_server", libc::SIGINT),
        ("datagram_server", libc::SIGTERM),
    ] {
        let (_dir, [path, _]) = names();
        let mut server = Running::server(name, &path, &[]);
        assert!(Path::new(&path).exists());
        // A client that stays does not keep the server.
        let idle = UnixStream::connect(&parse(&path));
        if idle.is_ok() {
            assert_eq!(server.line(), "client 1: connected from <unnamed>");
        }
        server.signal(signal);
        assert_eq!(server.end(), ["interrupted"]);
        assert!(!Path::new(&path).exists());
    }
}

#[test]
fn servers_say_what_is_wrong_with_their_arguments() {
    let (dir, [path, name]) = names();
    std::fs::write(&path, b"").unwrap();
    let missing = dir.join("no/socket").to_str().unwrap().to_string();
    let long = format!("@{}", "n".repeat(108));
    for (server, verb, option) in [
        ("echo_server", "listen on", "--connections"),
        ("datagram_server", "receive at", "--buffer"),
    ] {
        let says = |args: &[&str], wanted: &str| {
            let message = complaint(&run(server, args));
            let first = message.lines().next().unwrap_or_default();
            assert!(first.starts_with(&format!("{server}: {wanted}")), "{args:?}: {message}");
        };
        says(&[], &format!("usage: {server} ADDRESS [--"));
        says(
            &["socket"],
            "bad address socket: text begins with byte 0x73, wanted 0x2f `/` or 0x40 `@`",
        );
        says(&[""], "bad address : text is 0 bytes, the least is 2");
        says(&["@"], "bad address @: text is 1 byte, `@` alone, the least is 2");
        says(
            &[&long],
            &format!("bad address {long}: abstract name is 108 bytes, the limit is 107"),
        );
        says(&[&path], &format!("cannot {verb} {path}: {}", words(libc::EADDRINUSE)));
        says(&[&missing], &format!("cannot {verb} {missing}: {}", words(libc::ENOENT)));
        for number in ["0", "-1", "many"] {
            says(&[&name, option, number], &format!("{option} wants a number"));
        }
        says(&[&name, option], &format!("{option} wants a number"));
        says(&[&name, "--fast"], "unknown option --fast");
    }
    // A file that was there before is nobody's to remove.
    assert!(Path::new(&path).exists());
}

#[test]
fn clients_say_what_is_wrong() {
    let (_dir, [path, name]) = names();
    for client in ["echo_client", "datagram_client"] {
        let says = |args: &[&str], wanted: &str| {
            let message = complaint(&run(client, args));
            let first = message.lines().next().unwrap_or_default();
            assert_eq!(
                first.split_once(": ").expect("who says it").1,
                wanted,
                "{args:?}: {message}"
            );
        };
        let message = complaint(&run(client, &[]));
        assert!(message.starts_with(&format!("{client}: usage: {client} ADDRESS [")), "{message}");
        says(&["x"], "bad address x: text begins with byte 0x78, wanted 0x2f `/` or 0x40 `@`");
        says(&[&path], &format!("cannot connect to {path}: {}", words(libc::ENOENT)));
        says(&[&name], &format!("cannot connect to {name}: {}", words(libc::ECONNREFUSED)));
        let wrong = parse(&path);
        let _listener;
        let _datagram;
        if client == "echo_client" {
            _datagram = UnixDatagram::bind(&wrong).unwrap();
        } else {
            _listener = UnixListener::bind(&wrong).unwrap();
        }
        says(&[&path], &format!("cannot connect to {path}: {}", words(libc::EPROTOTYPE)));
        std::fs::remove_file(&path).unwrap();
    }
    for option in ["--clients", "--messages", "--size", "--wait"] {
        assert_eq!(
            complaint(&run("datagram_client", &[&name, option, "none"])),
            format!("datagram_client: {option} wants a number from 1 to 1000000\n")
        );
    }
}
