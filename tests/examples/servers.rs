//! What the servers, and both clients, say and do alike.

use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};

use crate::common::{LONG, finish, spawn};
use crate::program::*;

const SERVERS: [&str; 6] = [
    "echo_server",
    "epoll_echo",
    "tokio_echo",
    "datagram_server",
    "credentials_server",
    "peer_auth",
];

#[test]
fn servers_stop_at_a_signal_and_remove_their_file() {
    let each = SERVERS.iter().flat_map(|name| [(*name, libc::SIGINT), (*name, libc::SIGTERM)]);
    for (name, signal) in each {
        let (_dir, [path, _]) = names();
        let mut server = Running::server(name, &path, &[]);
        assert!(Path::new(&path).exists());
        // A client that stays does not keep the server.
        let idle = UnixStream::connect(&parse(&path));
        assert_eq!(idle.is_ok(), name.contains("echo"));
        if name == "echo_server" {
            assert_eq!(server.line(), "client 1: connected from <unnamed>");
        }
        server.signal(signal);
        assert_eq!(server.end(), ["interrupted"]);
        assert!(!Path::new(&path).exists());
    }
}

#[test]
fn servers_take_the_name_of_one_that_was_killed_and_of_no_other() {
    for name in SERVERS {
        let (_dir, [path, _]) = names();
        let mut killed = Running::server(name, &path, &[]);
        killed.signal(libc::SIGKILL);
        killed.child().wait().unwrap();
        assert!(Path::new(&path).exists());
        let mut server = Running::server(name, &path, &[]);
        let said = complaint(&run(name, &[&path]));
        assert!(said.ends_with(": another socket has the name\n"), "{said}");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), ["interrupted"]);
        assert!(!Path::new(&path).exists());
    }
}

#[test]
fn servers_go_on_if_nobody_reads_what_they_print() {
    for name in SERVERS {
        let (_dir, [path, _]) = names();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = example(name);
        command.arg(&path).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let mut server = Killed(Some(spawn(&mut command).unwrap()));
        let start = Instant::now();
        while !Path::new(&path).exists() {
            assert!(start.elapsed() < LONG / 2, "{name} has not bound its name");
            thread::sleep(Duration::from_millis(5));
        }
        if name.contains("echo") {
            for word in ["one", "two"] {
                assert_eq!(lines(&connecting(&path, word)), [word]);
            }
        } else if name == "peer_auth" {
            for _ in 0..2 {
                let client = loop {
                    // It may be bound and not listen yet.
                    match UnixSeqpacket::connect(&parse(&path)) {
                        Ok(client) => break client,
                        Err(errno) => assert!(start.elapsed() < LONG / 2, "{name}: {errno}"),
                    }
                    thread::sleep(Duration::from_millis(5));
                };
                client.set_read_timeout(Some(LONG)).unwrap();
                assert_eq!(client.recv(&mut [0; 16]).unwrap().bytes, b"welcome".len());
            }
        } else {
            let client = UnixDatagram::unbound().unwrap();
            client.send_to(b"one", &parse(&path)).unwrap();
            client.send_to(b"two", &parse(&path)).unwrap();
            // It has received both, so it waits for signals too.
            while client.unread_memory().unwrap() > 0 {
                assert!(start.elapsed() < LONG / 2, "{name} does not receive");
                thread::sleep(Duration::from_millis(5));
            }
        }
        let child = server.0.take().unwrap();
        // SAFETY: no pointers; the child was not waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(child.id().try_into().unwrap(), libc::SIGTERM) }, 0);
        assert_eq!(lines(&finish(child)), [""; 0]);
        assert!(!Path::new(&path).exists(), "{name} has left its file");
    }
}

/// A client of a server that may be bound and not listen yet.
fn connecting(path: &str, word: &str) -> Output {
    let start = Instant::now();
    while UnixStream::connect(&parse(path)).is_err() && start.elapsed() < LONG / 2 {
        thread::sleep(Duration::from_millis(5));
    }
    run("echo_client", &[path, word])
}

/// A child that is killed if the test fails.
struct Killed(Option<Child>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn echo_server_stops_at_a_signal_when_it_waits_for_its_last_client() {
    let (_dir, [path, _]) = names();
    let mut server = Running::server("echo_server", &path, &["--connections", "1"]);
    let _stays = UnixStream::connect(&parse(&path)).unwrap();
    assert_eq!(server.line(), "client 1: connected from <unnamed>");
    server.signal(libc::SIGTERM);
    assert_eq!(server.end(), ["interrupted"]);
    assert!(!Path::new(&path).exists());
}

#[test]
fn echo_server_stops_at_a_signal_when_it_has_no_descriptor_left() {
    let (_dir, [path, _]) = names();
    let mut server = Running::server("echo_server", &path, &[]);
    server.limit_descriptors(8);
    let clients: Vec<_> = (0..8).map(|_| UnixStream::connect(&parse(&path)).unwrap()).collect();
    while !server.line().starts_with("out of descriptors") {}
    server.signal(libc::SIGTERM);
    let end = server.end();
    assert_eq!(end.last().map(String::as_str), Some("interrupted"), "{end:?}");
    assert!(!Path::new(&path).exists());
    drop(clients);
}

#[test]
fn servers_leave_alone_what_took_the_place_of_their_file() {
    for name in SERVERS {
        let (dir, [path, _]) = names();
        let mut server = Running::server(name, &path, &[]);
        std::fs::rename(&path, dir.join("moved")).unwrap();
        std::fs::write(&path, b"another's").unwrap();
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), ["interrupted"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"another's");
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
        ("epoll_echo", "listen on", "--connections"),
        ("tokio_echo", "listen on", "--connections"),
        ("datagram_server", "receive at", "--buffer"),
        ("credentials_server", "receive at", "--messages"),
        ("peer_auth", "listen on", "--clients"),
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
        let taken = "what has the name is no socket but a regular file";
        says(&[&path], &format!("cannot {verb} {path}: {taken}"));
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
