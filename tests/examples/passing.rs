//! `send_fd` and `recv_fd`.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use afunix::{AsFd, UnixSeqpacket, UnixSeqpacketListener};

use crate::common;
use crate::program::*;

/// The file has no name any more when it is passed: there is none that the receiver could open.
#[test]
fn recv_fd_reads_a_file_that_it_cannot_open() {
    let (dir, addrs) = names();
    for addr in &addrs {
        let receiver = Running::server("recv_fd", addr, &[]);
        let path = dir.join("file");
        fs::write(&path, b"the first\nand the second\nand more\n").unwrap();
        let file = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let mut sender = example("send_fd");
        sender.args([addr.as_str(), "/dev/stdin"]);
        sender.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let sent = common::finish(common::spawn(&mut sender).unwrap());
        assert_eq!(
            lines(&sent),
            [
                r#"read "the first\n" up to offset 10"#,
                "passed the descriptor",
                "the receiver read up to offset 25",
                "so the offset here went from 10 to 25",
            ]
        );
        let wanted = [
            "received a descriptor with the message read on",
            r#"read "and the second\n" from offset 10 to 25"#,
        ];
        assert_eq!(receiver.end(), wanted);
        assert!(!Path::new(addr).exists());
    }
}

/// What a receiver, once it listens, complains of if a sender does this.
fn received(addr: &str, send: impl FnOnce(&UnixSeqpacket)) -> String {
    let mut receiver = Running::server("recv_fd", addr, &[]);
    let socket = UnixSeqpacket::connect(&parse(addr)).unwrap();
    send(&socket);
    drop(socket);
    complaint(&finish_early(&mut receiver))
}

#[test]
fn recv_fd_takes_one_regular_file_and_nothing_else() {
    let (_dir, [path, _]) = names();
    assert_eq!(received(&path, |_| {}), "recv_fd: the sender left and passed nothing\n");
    let sockets = |count| {
        received(&path, |socket| {
            assert_eq!(socket.send_fds(b"x", &vec![socket.as_fd(); count]).unwrap().bytes, 1);
        })
    };
    assert_eq!(sockets(0), "recv_fd: 0 descriptors came, wanted 1\n");
    assert_eq!(sockets(1), "recv_fd: what came is no regular file\n");
    assert_eq!(sockets(3), "recv_fd: 3 descriptors came, wanted 1\n");
    let flood = sockets(253);
    assert!(flood.starts_with("recv_fd: control messages were lost: "), "{flood}");
    assert!(!Path::new(&path).exists());
}

#[test]
fn send_fd_notices_a_receiver_that_leaves() {
    let (dir, [path, _]) = names();
    let file = dir.join("file").to_str().unwrap().to_string();
    fs::write(&file, b"a line").unwrap();
    let listener = UnixSeqpacketListener::bind(&parse(&path)).unwrap();
    let mut sender = Running::start("send_fd", &[&path, &file]);
    let _watchdog = common::Watchdog::new();
    let (socket, _) = listener.accept().unwrap();
    let (received, fds) = socket.recv_fds::<1>(&mut [0; 16]).unwrap();
    assert_eq!((received.size, fds.len()), (7, 1));
    drop(socket);
    let message = complaint(&finish_early(&mut sender));
    assert_eq!(message, "send_fd: the receiver left without an answer\n");
}

#[test]
fn send_fd_and_recv_fd_say_what_is_wrong() {
    let (dir, [path, name]) = names();
    let missing = dir.join("missing").to_str().unwrap().to_string();
    let says = |program: &str, args: &[&str], wanted: &str| {
        let message = complaint(&run(program, args));
        let first = message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("{program}: {wanted}"), "{args:?}");
    };
    says("recv_fd", &[], "usage: recv_fd ADDRESS");
    says("send_fd", &[&path], "usage: send_fd ADDRESS FILE");
    for (program, args) in [("recv_fd", &["x"][..]), ("send_fd", &["x", "/dev/null"])] {
        let wanted = "bad address x: text begins with byte 0x78, wanted 0x2f `/` or 0x40 `@`";
        says(program, args, wanted);
    }
    let reason = words(libc::ENOENT);
    says("send_fd", &[&name, &missing], &format!("cannot open {missing}: {reason}"));
    says("send_fd", &[&path, "/dev/null"], &format!("cannot connect to {path}: {reason}"));
    let reason = words(libc::EISDIR);
    says("send_fd", &[&name, "/"], &format!("cannot read: {reason}"));
    fs::write(&path, b"").unwrap();
    let reason = "what has the name is no socket but a regular file";
    says("recv_fd", &[&path], &format!("cannot listen on {path}: {reason}"));
    // It was there before.
    assert!(Path::new(&path).exists());
}
