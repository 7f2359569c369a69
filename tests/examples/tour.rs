//! `tour`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use afunix::UnixDatagram;

use crate::common;
use crate::common::emulated::{STARTS_ITSELF, left_out_by_qemu};
use crate::program::*;

#[test]
fn tour_shows_what_each_side_saw() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let output = run("tour", &[]);
    let seen = lines(&output);
    let pid = |line: &str| {
        let pids = line.strip_prefix("   server is process ").expect("the processes");
        let (server, client) = pids.split_once(", client is process ").expect("two");
        assert_ne!(server, client);
        (server.to_string(), client.to_string())
    };
    assert_eq!(seen.len(), 43, "{seen:#?}");
    let (server, first) = pid(&seen[1]);
    let (_, second) = pid(&seen[11]);
    let (_, third) = pid(&seen[24]);
    let (_, fourth) = pid(&seen[37]);
    // SAFETY: they cannot fail.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let dir = std::env::temp_dir().join(format!("afunix-tour-{server}"));
    let path = format!("{}/server (pathname)", dir.display());
    let client = between(&seen[13], "   server: from ", " (abstract)");
    assert_autobound(client);
    let picked = between(&seen[25], "   server: local address ", " (abstract)");
    assert_autobound(picked);
    let wanted = format!(
        r#"1. A stream at a pathname: bytes without bounds; the client is unnamed.
   server is process {server}, client is process {first}
   server: local address {path}
   server: peer address <unnamed>
   server: read "two writes"
   client: local address <unnamed>
   client: peer address {path}
   client: wrote "two "
   client: wrote "writes"
   client: read "thank you"
2. Datagrams at an abstract name: from anybody, whole or cut, answered where named.
   server is process {server}, client is process {second}
   server: local address @afunix-tour-{server} (abstract)
   server: from {client} (abstract): "short", 5 of 5 bytes
   server: from {client} (abstract): "much too", 8 of 13 bytes, the rest is lost
   server: from <unnamed>: "who?", 4 of 4 bytes
   server: no answer, for want of a name
   client: local address {client} (abstract), autobound
   client: sent "short"
   client: from @afunix-tour-{server} (abstract): "got it", 6 of 6 bytes
   client: sent "much too long"
   client: from @afunix-tour-{server} (abstract): "got it", 6 of 6 bytes
   client: sent "who?" from another socket, which is unnamed
3. Seqpacket at an autobound name: a connection that keeps messages apart.
   server is process {server}, client is process {third}
   server: local address {picked} (abstract)
   server: peer address @afunix-tour-client-{third} (abstract)
   server: received "one", 3 of 3 bytes
   server: received "two", 3 of 3 bytes
   server: received "three, t", 8 of 15 bytes, the rest is lost
   client: local address @afunix-tour-client-{third} (abstract)
   client: peer address {picked} (abstract)
   client: sent "one"
   client: sent "two"
   client: sent "three, too long"
   client: received "all three", 9 of 9 bytes
4. A descriptor in a datagram, from a sender who is checked: a socket that only one made.
   server is process {server}, client is process {fourth}
   server: received "use this", 8 of 8 bytes
   server: sent by pid {fourth}, uid {uid}, gid {gid}
   server: that is the client, and what it passed is a stream
   client: passed one end of a pair, and closed it here
   client: read "through your own socket""#
    );
    assert_eq!(seen, wanted.lines().collect::<Vec<_>>());
    assert!(!dir.exists(), "{}", dir.display());
}

/// The name of the server's last socket is no secret, so another process may be faster than the
/// client; of which it takes some tries to be.
#[test]
fn tour_takes_no_descriptor_from_anybody_else() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let _watchdog = common::Watchdog::new();
    let wanted = format!("tour: pid {}, uid ", std::process::id());
    let refused = (0..50).any(|_| {
        let mut tour = Running::start("tour", &[]);
        let to = parse(&format!("@afunix-tour-inbox-{}", tour.child().id()));
        let ended = AtomicBool::new(false);
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                let socket = UnixDatagram::unbound().unwrap();
                while socket.send_to(b"mine", &to).is_err() && !ended.load(Ordering::Relaxed) {}
            });
            let output = finish_early(&mut tour);
            ended.store(true, Ordering::Relaxed);
            output
        });
        if output.status.success() {
            return false;
        }
        let message = complaint(&output);
        message.starts_with(&wanted) && message.ends_with(" is not the client\n")
    });
    assert!(refused);
}

#[test]
fn tour_says_what_it_cannot_do() {
    assert_eq!(complaint(&run("tour", &["fast"])), "tour: usage: tour\n");
    let (_dir, [path, _]) = names();
    assert_eq!(
        complaint(&run("tour", &["stream", &path])),
        format!("tour: cannot connect: {}\n", words(libc::ENOENT))
    );
    assert_eq!(
        complaint(&run("tour", &["seqpacket", "there"])),
        "tour: bad address there: text begins with byte 0x74, wanted 0x2f `/` or 0x40 `@`\n"
    );
    let mut long = example("tour");
    long.env("TMPDIR", "/tmp/no/such/folder");
    let message = complaint(&common::run(&mut long));
    assert!(message.starts_with("tour: cannot make /tmp/no/such/folder/afunix-tour-"), "{message}");
}
