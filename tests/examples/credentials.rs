//! `credentials_server`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use afunix::{
    AncillaryBuf, AsFd, Credentials, Gid, IoSlice, Pid, SendOptions, Space, Uid, UnixDatagram,
};

use crate::common::{Watchdog, finish, is_root, passes_in_child, skip, spawn};
use crate::program::*;

/// A process that sends one message and stays until its input ends.
fn sender(addr: &str) -> Child {
    let mut python = Command::new("python3");
    let script = "import socket, sys
to = sys.argv[1]
to = '\\0' + to[1:] if to[0] == '@' else to
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'it is me', to)
sys.stdin.read()";
    python.args(["-c", script, addr]);
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(&mut python).expect("python3")
}

/// Ends it, and sees that it had nothing to complain of.
fn end(mut sender: Child) {
    drop(sender.stdin.take());
    assert_eq!(lines(&finish(sender)), [""; 0]);
}

/// Ids of this process.
fn ids() -> (u32, u32) {
    // SAFETY: they cannot fail.
    unsafe { (libc::getuid(), libc::getgid()) }
}

/// A line without the program's name, which there is if the kernel passes pidfds.
fn without_program(line: &str) -> String {
    match line.split_once(", program ") {
        Some((start, rest)) => {
            let end = rest.find([':', ',']).expect("the message");
            format!("{start}{}", &rest[end..])
        }
        None => line.to_string(),
    }
}

#[test]
fn credentials_server_tells_the_process_of_each_sender() {
    let (_dir, addrs) = names();
    let (uid, gid) = ids();
    for addr in &addrs {
        let server = Running::server("credentials_server", addr, &["--messages", "3"]);
        for _ in 0..2 {
            let child = sender(addr);
            let line = server.line();
            let pid = child.id();
            let wanted = format!("<unnamed>: pid {pid}, uid {uid}, gid {gid}: 8 bytes: it is me");
            assert_eq!(without_program(&line), wanted);
            if UnixDatagram::unbound().unwrap().set_passpidfd(true).is_ok() {
                let seen = between(&line, "<unnamed>: ", ", program python");
                assert_eq!(seen, format!("pid {pid}, uid {uid}, gid {gid}"));
            }
            end(child);
        }
        let this = UnixDatagram::unbound().unwrap();
        this.send_to(&[b'x'; 300], &parse(addr)).unwrap();
        let seen = server.end();
        let (pid, text) = (std::process::id(), "x".repeat(256));
        let wanted = format!("<unnamed>: pid {pid}, uid {uid}, gid {gid}: 300 bytes: {text}...");
        assert_eq!([without_program(&seen[0])], [wanted]);
        assert!(!Path::new(addr).exists());
    }
}

/// It is tried from before the name is there until it goes.
#[test]
fn credentials_server_knows_its_very_first_sender() {
    let _watchdog = Watchdog::new();
    let (_dir, addrs) = names();
    let (uid, gid) = ids();
    for addr in addrs {
        let to = parse(&addr);
        let first = std::thread::spawn(move || {
            let socket = UnixDatagram::unbound().unwrap();
            while socket.send_to(b"first", &to).is_err() {}
        });
        let server = Running::server("credentials_server", &addr, &["--messages", "1"]);
        first.join().unwrap();
        let pid = std::process::id();
        let wanted = format!("<unnamed>: pid {pid}, uid {uid}, gid {gid}: 5 bytes: first");
        let seen: Vec<_> = server.end().iter().map(|line| without_program(line)).collect();
        assert_eq!(seen, [wanted]);
    }
}

/// The client may be gone by the time that it is looked up: then it has no program.
#[test]
fn credentials_server_knows_who_is_gone() {
    let (_dir, [path, _]) = names();
    let (uid, gid) = ids();
    let mut server = Running::server("credentials_server", &path, &["--messages", "1"]);
    // All of it is asleep before the client comes.
    server.signal(libc::SIGSTOP);
    let stat = format!("/proc/{}/stat", server.child().id());
    let _watchdog = Watchdog::new();
    while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut client = example("datagram_client");
    client.args([&path, "--unnamed"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = spawn(&mut client).unwrap();
    let pid = client.id();
    lines(&finish(client));
    server.signal(libc::SIGCONT);
    let wanted =
        format!("<unnamed>: pid {pid}, uid {uid}, gid {gid}: 18 bytes: client 1 message 1");
    assert_eq!(server.end(), [wanted]);
}

#[test]
fn credentials_server_closes_what_was_sent_along() {
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    let (uid, gid) = ids();
    let (socket, name) = UnixDatagram::autobind().unwrap();
    let server = Running::server("credentials_server", &path, &["--messages", "3"]);
    let start = format!("{name}: pid {}, uid {uid}, gid {gid}", std::process::id());
    socket.connect(&parse(&path)).unwrap();
    for count in [1, 253] {
        socket.send_fds(b"take", &vec![socket.as_fd(); count]).unwrap();
        let line = without_program(&server.line());
        assert!(line.starts_with(&format!("{start}, ")), "{line}");
        assert!(line.contains(" descriptors closed"), "{line}");
        assert!(line.ends_with(": 4 bytes: take"), "{line}");
    }
    // The next one is not affected.
    socket.send(b"").unwrap();
    assert_eq!(
        server.end().iter().map(|line| without_program(line)).collect::<Vec<_>>(),
        [format!("{start}: 0 bytes: ")]
    );
}

#[test]
fn credentials_server_tells_another_user_and_what_root_claims() {
    if !is_root() {
        return skip("only root can be somebody else");
    }
    passes_in_child(
        "credentials::credentials_server_tells_another_user_and_what_root_claims",
        || {
            let (_dir, [_, name]) = names();
            let (socket, to) = (UnixDatagram::unbound().unwrap(), parse(&name));
            let server = Running::server("credentials_server", &name, &["--messages", "2"]);

            let mut buf = AncillaryBuf::<{ Space::new().credentials().bytes() }>::new();
            let mut writer = buf.writer();
            let pid = Pid::from_raw(1);
            let claimed = Credentials { pid, uid: Uid::from_raw(5), gid: Gid::from_raw(6) };
            writer.push_credentials(claimed).unwrap();
            let options = SendOptions::new().to(&to);
            socket.send_with(&[IoSlice::new(b"I, 1")], &writer, options).unwrap();
            let line = without_program(&server.line());
            assert_eq!(line, "<unnamed>: pid 1, uid 5, gid 6: 4 bytes: I, 1");

            // SAFETY: numbers alone.
            unsafe { assert_eq!((libc::setgid(65533), libc::setuid(65534)), (0, 0)) };
            socket.send_to(b"I", &to).unwrap();
            let line = without_program(&server.line());
            let pid = std::process::id();
            assert_eq!(line, format!("<unnamed>: pid {pid}, uid 65534, gid 65533: 1 bytes: I"));
            assert_eq!(server.end(), [""; 0]);
        },
    );
}

/// A server in a pid namespace of its own sees no process outside.
#[test]
fn credentials_server_tells_that_the_process_is_unknown() {
    let unshare = ["--pid", "--fork", "--kill-child"];
    let mut probe = Command::new("unshare");
    probe.args(unshare).arg("true").stdin(Stdio::null()).stderr(Stdio::piped());
    match spawn(probe.stdout(Stdio::piped())).map(finish) {
        Ok(output) if output.status.success() => {}
        _ => return skip("this takes unshare, and the right to make pid namespaces"),
    }
    let (_dir, [_, name]) = names();
    let server = Running::server_under(
        &[&["unshare"], &unshare[..]].concat(),
        "credentials_server",
        &name,
        &["--messages", "1"],
    );
    let child = sender(&name);
    let (uid, gid) = ids();
    let wanted = format!("<unnamed>: unknown pid, uid {uid}, gid {gid}: 8 bytes: it is me");
    assert_eq!(server.end(), [wanted]);
    end(child);
}
