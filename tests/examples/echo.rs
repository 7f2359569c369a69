//! `echo_server` and `echo_client`.

use std::io::Write;
use std::path::Path;

use afunix::{UnixListener, UnixStream};

use crate::common::assert_success;
use crate::program::*;

#[test]
fn echo_answers_many_clients_at_once() {
    let (_dir, addrs) = names();
    for addr in &addrs {
        let server = Running::server("echo_server", addr, &["--connections", "9"]);
        // It stays connected while the others come and go.
        let mut first = Running::start("echo_client", &[addr]);
        assert_eq!(server.line(), "client 1: connected from <unnamed>");
        let mut stdin = first.child().stdin.take().expect("a pipe");
        stdin.write_all(b"before\n").expect("a client that reads");
        assert_eq!(first.line(), "before");

        let others: Vec<_> = (0..8)
            .map(|i| Running::start("echo_client", &[addr, "client", &i.to_string()]))
            .collect();
        for (i, client) in others.into_iter().enumerate() {
            assert_eq!(client.end(), [format!("client {i}")]);
        }

        stdin.write_all(b"after\n").expect("a client that reads");
        assert_eq!(first.line(), "after");
        drop(stdin);
        assert_eq!(first.end(), [""; 0]);

        let mut wanted = vec!["client 1: end of file after 13 bytes".to_string()];
        for number in 2..=9 {
            wanted.push(format!("client {number}: connected from <unnamed>"));
            wanted.push(format!("client {number}: end of file after 9 bytes"));
        }
        assert_eq!(sorted(server.end()), sorted(wanted));
        assert!(!Path::new(addr).exists());
    }
}

/// Far more than both queues hold, so that each side's writes have to wait for the other.
#[test]
fn echo_gives_back_every_byte() {
    let (_dir, [path, _]) = names();
    let server = Running::server("echo_server", &path, &["--connections", "1"]);
    let bytes: Vec<u8> =
        (0..5_000_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let output = run_with("echo_client", &[&path], &bytes);
    assert_success(&output);
    assert!(output.stdout == bytes, "{} of {} bytes came back", output.stdout.len(), bytes.len());
    let wanted =
        ["client 1: connected from <unnamed>", "client 1: end of file after 5000000 bytes"];
    assert_eq!(server.end(), wanted);
}

#[test]
fn echo_server_tells_who_connects_and_who_is_lost() {
    let (_dir, [path, name]) = names();
    let server = Running::server("echo_server", &path, &["--connections", "2"]);
    let client = UnixStream::connect_from_to(&parse(&name), &parse(&path)).unwrap();
    assert_eq!(server.line(), format!("client 1: connected from {name}"));
    // Nothing of the answer is read: the server is told, and serves the next one.
    client.write(b"lost").unwrap();
    let mut byte = [0];
    assert_eq!(client.read(&mut byte), Ok(1));
    drop(client);
    assert_eq!(server.line(), format!("client 1: cannot go on: {}", words(libc::ECONNRESET)));
    assert_eq!(lines(&run("echo_client", &[&path, "next"])), ["next"]);
    let wanted = ["client 2: connected from <unnamed>", "client 2: end of file after 5 bytes"];
    assert_eq!(server.end(), wanted);
}

#[test]
fn echo_client_notices_a_server_that_leaves() {
    let (_dir, [path, _]) = names();
    let listener = UnixListener::bind(&parse(&path)).unwrap();
    // Its input has not ended yet.
    let mut client = Running::start("echo_client", &[&path]);
    drop(listener.accept().unwrap());
    let output = finish_early(&mut client);
    assert_eq!(complaint(&output), "echo_client: the server closed before it had all\n");

    // This server answers less than it got.
    let mut client = Running::start("echo_client", &[&path, "hello"]);
    let (server, _) = listener.accept().unwrap();
    let mut buf = [0; 64];
    assert_eq!(server.read(&mut buf), Ok(6));
    assert_eq!(server.read(&mut buf), Ok(0));
    assert_eq!(server.write(b"hell"), Ok(4));
    drop(server);
    let output = finish_early(&mut client);
    assert_eq!(complaint(&output), "echo_client: sent 6 bytes, 4 came back\n");
    assert_eq!(client.line(), "hell");
}
