//! Which descriptors a program that is executed gets, and which flags are inherited at all.

use std::process::Command;

use afunix::{
    AsRawFd, OwnedFd, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{Watchdog, assert_success, identity, name, passes_in_child, run};

for_connecting!(accepted_socket_is_blocking_although_the_listener_is_not);

fn data<T: Data>(made: &mut Vec<(&'static str, OwnedFd)>, served: &UnixAddr) {
    let (a, b) = T::pair().unwrap();
    made.extend([
        ("pair, first", a.into()),
        ("pair, second", b.into()),
        ("unbound", T::unbound().unwrap().into()),
        ("bind", T::bind(&name("bind")).unwrap().into()),
        ("autobind", T::autobind().unwrap().0.into()),
        ("connect_from_to", T::connect_from_to(&name("from"), served).unwrap().into()),
    ]);
}

fn connecting<T: Connects>(made: &mut Vec<(&'static str, OwnedFd)>) {
    let served = name("served");
    let listener = T::Listener::bind(&served).unwrap();
    data::<T>(made, &served);
    let (bound, _) = T::autobind().unwrap();
    made.extend([
        ("connect", T::connect(&served).unwrap().into()),
        ("accept", listener.accept().unwrap().0.into()),
        ("accept_into", listener.accept_into(&mut name("peer")).unwrap().into()),
        ("listen", bound.listen(1).unwrap().into()),
        ("listener bind", listener.into()),
        ("listener autobind", T::Listener::autobind().unwrap().0.into()),
        (
            "listener bind_with_backlog",
            T::Listener::bind_with_backlog(&name("backlog"), 1).unwrap().into(),
        ),
    ]);
}

fn every_descriptor() -> Vec<(&'static str, OwnedFd)> {
    let mut made = Vec::new();
    connecting::<UnixStream>(&mut made);
    connecting::<UnixSeqpacket>(&mut made);
    let (receiver, served) = UnixDatagram::autobind().unwrap();
    data::<UnixDatagram>(&mut made, &served);
    made.push(("receiver", receiver.into()));
    made
}

/// See "Close-on-exec at birth" in `kernel.md`.
#[test]
fn descriptor_from_every_constructor_and_accept_is_closed_on_exec() {
    const TEST: &str = "exec::descriptor_from_every_constructor_and_accept_is_closed_on_exec";
    let _watchdog = Watchdog::new();
    // In a process of its own, so that the one descriptor that is not does not get to other tests.
    passes_in_child(TEST, || {
        let made = every_descriptor();
        for (what, fd) in &made {
            let (_, _, flags, _) = identity(fd);
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "{what}");
        }
        let visible = || {
            let output = run(Command::new("ls").args(["-l", "/proc/self/fd"]));
            assert_success(&output);
            let said = String::from_utf8(output.stdout).unwrap();
            let seen = |fd: &OwnedFd| said.contains(&format!("socket:[{}]", identity(fd).1));
            made.iter().filter(|(_, fd)| seen(fd)).map(|(what, _)| *what).collect::<Vec<_>>()
        };
        assert_eq!(visible(), Vec::<&str>::new());
        // The control: it can be seen if it is there.
        let (what, fd) = &made[0];
        // SAFETY: the call takes numbers alone.
        assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }, 0);
        assert_eq!(visible(), [*what]);
    });
}

fn accepted_socket_is_blocking_although_the_listener_is_not<T: Connects>(_: &str) {
    let listener_name = name("listener");
    let listener = T::Listener::bind(&listener_name).unwrap();
    listener.set_nonblocking(true).unwrap();
    let client = T::unbound().unwrap();
    client.set_nonblocking(true).unwrap();
    client.connect_to(&listener_name).unwrap();
    let (connection, _) = listener.accept().unwrap();
    let nonblocking = |flags: i32| flags & libc::O_NONBLOCK != 0;
    assert!(nonblocking(identity(&listener).3));
    assert!(nonblocking(identity(&client).3));
    assert!(!nonblocking(identity(&connection).3));
}

#[test]
fn socket_is_blocking_from_birth() {
    let _watchdog = Watchdog::new();
    for (what, fd) in every_descriptor() {
        assert_eq!(identity(&fd).3 & libc::O_NONBLOCK, 0, "{what}");
    }
    assert_eq!(identity(&UnixListener::fresh()).3 & libc::O_NONBLOCK, 0);
    assert_eq!(identity(&UnixSeqpacketListener::fresh()).3 & libc::O_NONBLOCK, 0);
}
